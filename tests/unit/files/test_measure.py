import os
from pathlib import Path

import pytest

from sampan.files import measure


def measured(place: Path) -> tuple[int, int]:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return measure.measure(descriptor)
    finally:
        os.close(descriptor)


def test_each_inode_counts_once_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"x" * 1000)
    os.link(tmp_path / "d" / "e" / "f", tmp_path / "again")
    os.symlink("/etc", tmp_path / "out")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "ü\n").write_bytes(b"yy")
    assert measured(tmp_path) == (1000 + 4 + (1 << 20) + 2, 6)


def test_the_end_of_the_process_breaks_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_ended", type(measure._ended)())
    measure.end_measuring()
    with pytest.raises(measure.MeasuringEnded):
        measured(tmp_path)
