"""Rows of what was measured: as a table for the terminal and, with what was measured before, as docs/benchmarks.md."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.samples import Samples

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
REMARKS = Path(__file__).parent / "remarks.md"
DATA = Path(__file__).parent / "measured.json"
SECTIONS = {
    "Containers": (
        *(
            "ready",
            "memory",
            "lives",
            "commands",
            "execs",
            "users",
            "at-once",
            "flat",
            "listing",
            "thousand",
            "logs",
            "stats",
            "limits",
            "copies",
        ),
    ),
    "Images": ("archives", "pushes", "pulls", "unpacking"),
    "Networks": ("network",),
    "Builds": ("builds", "buildx"),
    "Storage": ("storage",),
}
"""The tables of the document, and the measures in each."""
_MISSED = "**no**"


@dataclass(frozen=True)
class Row:
    """One line: what Sampan took, what the peer took, how many times better Sampan is, and what was wanted."""

    name: str
    sampan: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """As text, in the order of the headings."""
        ratio = "" if self.ratio is None else f"{self.ratio:.{1 if self.ratio >= 2 else 2}f} ×"
        verdict = {None: "", True: "yes", False: _MISSED}[self.reached]
        return self.name, self.sampan, self.peer, ratio, self.goal, verdict


HEADINGS = ("measure", "Sampan", "Docker", "Sampan is better", "goal", "reached")


def compared(name: str, sampan: Samples, peer: Samples, times: float) -> Row:
    """A row for two series of seconds, with the medians' ratio and its goal."""
    ratio = peer.p50 / sampan.p50
    return Row(name, str(sampan), str(peer), ratio, f"≥ {times:g} ×", ratio >= times)


def bounded(name: str, sampan: Samples, milliseconds: float, peer: Samples | None = None) -> Row:
    """A row whose goal is a bound on the median."""
    reached = sampan.p50 * 1000 <= milliseconds
    ratio = None if peer is None else peer.p50 / sampan.p50
    return Row(name, str(sampan), "" if peer is None else str(peer), ratio, f"p50 ≤ {milliseconds:g} ms", reached)


def text(rows: list[Row]) -> str:
    """The table for a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One measure as it was last taken: when, where, beside which peer, how thoroughly; `rows` as they stand in the table."""

    on: str
    machine: str
    sampan: str
    peer: str
    quick: bool
    rows: tuple[tuple[str, str, str, str, str, str], ...]


class Kept(msgspec.Struct):
    """All that the document is made from (bench/measured.json), so that one measure can be taken anew without the others."""

    moves: str
    measures: dict[str, Measured]


def kept() -> Kept:
    """What was measured last. Raises msgspec.ValidationError for a file that somebody else wrote."""
    return msgspec.json.decode(DATA.read_bytes(), type=Kept) if DATA.exists() else Kept("", {})


def keep(
    rows: Mapping[str, Sequence[Row]], moves: Mapping[str, Samples], versions: Sequence[str], *, quick: bool
) -> None:
    """Put measures in the place of what is known of them. `versions` are Sampan's and its peer's."""
    known = kept()
    known.moves = ", ".join(f"{name} {samples}" for name, samples in moves.items())
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    for name, found in rows.items():
        known.measures[name] = Measured(
            on=time.strftime("%d %B %Y", time.gmtime()),
            machine=machine,
            sampan=versions[0],
            peer=versions[1],
            quick=quick,
            rows=tuple(row.cells() for row in found),
        )
    DATA.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")


def write() -> None:
    """docs/benchmarks.md, anew."""
    DOCUMENT.write_text(document(kept()))


def document(known: Kept) -> str:
    """The page: a table for each section, and the hand-written remarks at its end."""
    parts = [
        "# Benchmarks",
        (
            "Written by `bench/run` from bench/measured.json: Sampan and Docker one after the other in the same run, p50 / p95. "
            "A machine's noise is in both."
        ),
        (
            f"One idle move between control groups: {known.moves} (ten samples; it differs between machines and hours, and is "
            "part of every cold start on v1)"
        ),
    ]
    for title, names in SECTIONS.items():
        parts += _section(title, {name: known.measures[name] for name in names if name in known.measures})
    missed = [row[0] for one in known.measures.values() for row in one.rows if row[5] == _MISSED]
    parts.append(f"Missed: {'; '.join(missed) if missed else 'nothing'}.")
    if REMARKS.exists():
        parts.append(REMARKS.read_text().strip())
    return "\n\n".join(parts) + "\n"


def _section(title: str, measures: Mapping[str, Measured]) -> list[str]:
    if not measures:
        return []
    runs: dict[str, list[str]] = {}
    for name, one in measures.items():
        thorough = ", a tenth of the repetitions" if one.quick else ""
        run = f"{one.on}, {one.machine}; Sampan {one.sampan} beside Docker {one.peer}{thorough}"
        runs.setdefault(run, []).append(name)
    table = [HEADINGS, ("---",) * len(HEADINGS), *(row for one in measures.values() for row in one.rows)]
    return [
        f"## {title}",
        "\n".join(f"- {', '.join(names)}: {run}" for run, names in runs.items()),
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table),
    ]
