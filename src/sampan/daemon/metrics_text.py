"""Prometheus's text format, version 0.0.4 (prometheus.io, "Exposition formats"): families of samples, and histograms. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; those of Docker's histograms."""

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What follows the family's name (`_bucket`, mostly nothing), the labels, the value."""


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name. `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def family(name: str, kind: str, text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    """A family whose samples bear its own name."""
    return Family(name, kind, text, tuple(("", labels, value) for labels, value in values))


def single(name: str, kind: str, text: str, value: float) -> Family:
    """A family of one sample without labels."""
    return Family(name, kind, text, (("", {}, value),))


@dataclass(slots=True)
class Histogram:
    """How long something took, counted in Docker's buckets."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """It took this long once more."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    def samples(self, labels: Labels) -> list[Sample]:
        """Buckets, which count what they and all smaller ones hold; sum and count."""
        found: list[Sample] = []
        so_far = 0
        for bound, count in zip((*map(_number, _BOUNDS), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append(("_bucket", {**labels, "le": bound}, so_far))
        return [*found, ("_sum", labels, self.total), ("_count", labels, so_far)]


def render(families: Iterable[Family]) -> bytes:
    """The page. A family without samples is left out."""
    lines = []
    for each in families:
        if each.samples:
            lines += [f"# HELP {each.name} {each.help}", f"# TYPE {each.name} {each.kind}"]
            lines += [
                f"{each.name}{suffix}{_braces(labels)} {_number(value)}" for suffix, labels, value in each.samples
            ]
    return ("\n".join(lines) + "\n").encode(errors="replace")


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
