"""Documents become files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.operations import DocumentSource
from sampan.build.tree.documents import write_documents
from sampan.build.tree.source import Origin
from sampan.files.paths import BadPath


@pytest.fixture
def into(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_documents(into: int, tmp_path: Path) -> None:
    files = (("one", "longer text\n"), ("two", "b\udcff"), ("one", "a\n"))
    tree = write_documents(DocumentSource(files=files), into, epoch=5 * 10**9)
    assert tree.origin is Origin.DOCUMENTS
    assert (tmp_path / "one").read_bytes() == b"a\n"
    assert (tmp_path / "two").read_bytes() == b"b\xff"
    for name in ("one", "two"):
        status = (tmp_path / name).stat()
        assert (status.st_mode & 0o7777, status.st_mtime) == (0o644, 5)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_names_that_are_none(into: int, name: str) -> None:
    with pytest.raises(BadPath):
        write_documents(DocumentSource(files=((name, "x"),)), into)


def test_nothing_is_written_through_a_link(into: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        write_documents(DocumentSource(files=(("link", "x"),)), into)
    assert not (tmp_path / "target").exists()
