"""`stats --bars`: processor and memory as bars, and the last half minute of them as sparklines (Sampan only)."""

from __future__ import annotations

import os

from sampan.cli.output.bars import bar, sparkline
from sampan.cli.output.units import binary_size
from sampan.cli.verbs.stats import cpu_share, memory_limit, memory_used
from sampan.client.documents import number_of, object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document

_PAST = 30
"""Samples that are remembered: one a second comes."""
_BAR = 16
_NAME = 20
_LEAST_PAST = 8


class Bars:
    """What was seen of each container, by the name it is shown under."""

    def __init__(self) -> None:
        self._past: dict[str, list[tuple[str, float, float]]] = {}
        """time of the sample, share of all processors, share of the memory's limit"""

    def draw(self, samples: list[tuple[str, Document | None]]) -> list[str]:
        """A heading, and a line for each container, its newest sample remembered. No wider than the terminal."""
        names = {name for name, _ in samples}
        for name in [gone for gone in self._past if gone not in names]:
            del self._past[name]
        past = self._room()
        cells = _BAR + past
        heading = f"{'NAME':{_NAME}} {'CPU':{cells + 10}} {'MEMORY':{cells + 24}} {'PIDS':>5} STALLED"
        return [heading.rstrip(), *(self._line(name, sample, past) for name, sample in samples)]

    def _line(self, name: str, sample: Document | None, past: int) -> str:
        if sample is None:
            return f"{name[:_NAME]:{_NAME}} --"
        processors = number_of(object_of(sample, "cpu_stats"), "online_cpus") or 1
        percent = cpu_share(sample)
        used, limit = memory_used(sample), memory_limit(sample)
        seen = self._past.setdefault(name, [])
        read = text_of(sample, "read")
        if not seen or seen[-1][0] != read:
            seen.append((read, percent / 100 / processors, used / limit if limit else 0.0))
            del seen[:-_PAST]
        _, cpu, memory = seen[-1]
        shown = text_of(sample, "name")[1:] or name
        return (
            f"{shown[:_NAME]:{_NAME}} "
            f"{bar(cpu, _BAR)} {sparkline([each[1] for each in seen], past)} {percent:6.1f}%  "
            f"{bar(memory, _BAR)} {sparkline([each[2] for each in seen], past)} "
            f"{binary_size(used):>9} / {binary_size(limit):<9}  "
            f"{number_of(object_of(sample, 'pids_stats'), 'current'):5} {_stalled(sample)}"
        )

    def _room(self) -> int:
        """Cells for each of the two sparklines."""
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 132
        return max(_LEAST_PAST, min(_PAST, (columns - _NAME - 2 * _BAR - 52) // 2))


def _stalled(sample: Document) -> str:
    """Shares of the last ten seconds in which something waited (PSI): `cpu 3% io 12%`; what is none is left out."""
    pressure = object_of(sample, "pressure")
    found = []
    for resource in ("cpu", "memory", "io"):
        value = object_of(object_of(pressure, resource), "some").get("avg10")
        if isinstance(value, int | float) and value >= 1:
            found.append(f"{resource} {value:.0f}%")
    return " ".join(found)
