"""What packages declare, as Python's own library reads it."""

import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from sampan.drivers.groups import GROUPS
from sampan.plugins.declared import declared


def _package(place: Path, name: str, text: bytes) -> None:
    directory = place / f"{name}-1.0.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (directory / "entry_points.txt").write_bytes(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[sampan.volume]\nshelf = a:B\n",
        b"[console_scripts]\nrun = a:b\n\n[sampan.volume]\n# words\nshelf=a:B\n x.y-z = c.d:E [extra]\n[sampan.log]\nshelf = a:C\n",
        b"[console_scripts]\nsampan.volume = a:b\n",
        b"[other]\nshelf = a:B\n",
        b"",
    ],
)
def test_as_the_library_reads_it(tmp_path: Path, text: bytes) -> None:
    _package(tmp_path, "one", text)
    (found,) = distributions(path=[str(tmp_path)])
    expected = {(point.name, GROUPS[point.group]) for point in found.entry_points if point.group in GROUPS}
    assert set(declared([str(tmp_path)])) == expected


def test_what_cannot_be_read_declares_nothing(tmp_path: Path) -> None:
    good = b"[sampan.volume]\nshelf = a:B\n"
    _package(tmp_path, "binary", b"\xff" + good)
    _package(tmp_path, "huge", good + b"#" * (1 << 20))
    (tmp_path / "empty-1.0.dist-info").mkdir()
    (tmp_path / "file-1.0.dist-info").touch()
    (tmp_path / "directory-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    assert list(declared([str(tmp_path), str(tmp_path / "missing")])) == []


def test_this_environment() -> None:
    expected = {
        (point.name, GROUPS[point.group])
        for one in distributions()
        for point in one.entry_points
        if point.group in GROUPS
    }
    assert set(declared(sys.path)) == expected
