"""Bars and sparklines, and the lines of `stats --bars`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from sampan.cli.output.bars import bar, sparkline
from sampan.cli.verbs.stats_bars import Bars

if TYPE_CHECKING:
    from sampan.client.documents import Document


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0, "    "), (1, "████"), (0.5, "██  "), (0.28, "█▏  "), (7, "████"), (-1, "    "), (0.001, "    ")],
)
def test_bars(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_sparklines() -> None:
    assert sparkline([], 3) == "   "
    assert sparkline([0, 0.5, 1, 2], 6) == "  ▁▅██"
    assert sparkline([0, 0.1, 1], 2) == "▁█"


def sample(read: str, spent: int, used: int) -> Document:
    return {
        "name": "/web",
        "read": read,
        "cpu_stats": {"cpu_usage": {"total_usage": spent}, "system_cpu_usage": 200, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0},
        "memory_stats": {"usage": used << 20, "limit": 64 << 20},
        "pids_stats": {"current": 3},
        "pressure": {"io": {"some": {"avg10": 12.4}}, "cpu": {"some": {"avg10": 0.2}}},
    }


def test_a_container_is_drawn_with_its_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((120, 40)))
    bars = Bars()
    bars.draw([("ab12", sample("1", 0, 0))])
    heading, line = bars.draw([("ab12", sample("2", 100, 32))])
    again = bars.draw([("ab12", sample("2", 100, 32))])
    assert again == [heading, line], "a sample counts once"
    assert line.startswith("web ")
    assert "████████         " in line
    assert " ▁▅ " in line
    assert " 100.0% " in line
    assert "32MiB / 64MiB" in line
    assert line.endswith("    3 io 12%")
    assert heading.split() == ["NAME", "CPU", "MEMORY", "PIDS", "STALLED"]
    assert len(line) <= 120
    assert bars.draw([("ab12", None)])[1].split() == ["ab12", "--"]
