"""The table: rows of what was measured, as text for the terminal and as docs/benchmarks.md."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from bench.samples import Samples

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
REMARKS = Path(__file__).parent / "remarks.md"


@dataclass(frozen=True)
class Row:
    """One line: what Sampan took, what the peer took, how many times better Sampan is, and what was wanted."""

    name: str
    sampan: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.1f} ×"
        verdict = {None: "", True: "yes", False: "**no**"}[self.reached]
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


def write(rows: list[Row], moves: dict[str, Samples], peer: str, version: str) -> None:
    """docs/benchmarks.md, with the hand-written remarks at its end."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    missed = [row.name for row in rows if row.reached is False]
    parts = [
        "# Benchmarks",
        "Written by `bench/run`: Sampan and Docker one after the other in the same run, p50 / p95. A machine's noise is in both.",
        (
            f"- {time.strftime('%d %B %Y', time.gmtime())}, {os.cpu_count()} cores, Linux {platform.release()}, "
            f"Python {platform.python_version()}\n- Sampan {version} beside Docker {peer}"
        ),
        "- One idle move between control groups: "
        + ", ".join(f"{name} {samples}" for name, samples in moves.items())
        + " (ten samples; it differs between machines and hours, and is part of every cold start on v1)",
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table),
        f"Missed: {'; '.join(missed) if missed else 'nothing'}.",
    ]
    if REMARKS.exists():
        parts.append(REMARKS.read_text().strip())
    DOCUMENT.write_text("\n\n".join(parts) + "\n")
