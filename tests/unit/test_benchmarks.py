"""The benchmarks' page: it is what was measured, and a measure taken anew leaves the others."""

from pathlib import Path

import pytest

from bench import report
from bench.__main__ import MEASURES
from bench.report import Row
from bench.samples import Samples

MOVES = {"v2": Samples((0.001, 0.002))}


def test_the_page_is_what_was_measured() -> None:
    assert report.DOCUMENT.read_text() == report.document(report.kept()), "run `bench/run NAME --write`"


def test_each_measure_has_its_table() -> None:
    assert sorted(name for names in report.SECTIONS.values() for name in names) == sorted(MEASURES)


def test_a_measure_taken_anew_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DATA", tmp_path / "measured.json")
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "benchmarks.md")
    slow, quick = (
        Row("ready", "9 s", "1 s", 0.11, "≤ 1 s", reached=False),
        Row("ready", "1 s", "1 s", 1, "≤ 1 s", reached=True),
    )
    report.keep({"ready": [slow], "network": [Row("a | b", "1")]}, MOVES, ("1.0", "20.10"), quick=True)
    report.write()
    before = report.DOCUMENT.read_text()
    assert "| ready | 9 s | 1 s | 0.11 × | ≤ 1 s | **no** |" in before
    assert "| a \\| b | 1 |" in before
    assert "Missed: ready." in before
    assert "a tenth of the repetitions" in before
    report.keep({"ready": [quick]}, MOVES, ("1.1", "28.5"), quick=False)
    report.write()
    after = report.DOCUMENT.read_text()
    assert "| ready | 1 s | 1 s | 1.00 × | ≤ 1 s | yes |" in after
    assert "Missed: nothing." in after
    assert "- ready: " in after
    assert "Sampan 1.1 beside Docker 28.5\n" in after
    assert "| a \\| b | 1 |" in after
    assert "beside Docker 20.10, a tenth" in after
