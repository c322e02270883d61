"""A name for files that tells any change of them, and that is not given where a change could not be told."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.cli.build.packing import Directory, Document
from sampan.cli.build.stamp import FEWEST, stamp
from tests.waiting import eventually


def settled(root: Path) -> Directory:
    """Wait until the last change is no longer one of just now."""
    latest = max(path.lstat().st_ctime_ns for path in (root, *root.rglob("*")))
    eventually(lambda: time.time_ns() - latest > 150_000_000)
    return Directory(str(root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for number in range(FEWEST):
        (tmp_path / "d" / str(number)).write_text("x")
    return tmp_path


def test_the_same_files_have_the_same_name(root: Path) -> None:
    name = stamp([settled(root)])
    assert len(name) == 64
    assert stamp([Directory(str(root))]) == name


def test_what_changed_just_now_has_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = root / "d" / "7"
    changed.write_text("y")
    with monkeypatch.context() as patch:
        # However long this machine has taken since.
        patch.setattr(time, "time_ns", lambda: changed.stat().st_ctime_ns + 1)
        assert stamp([Directory(str(root))]) == ""
    assert stamp([settled(root)]) != ""


def test_few_files_have_none(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert stamp([settled(tmp_path)]) == ""


def _same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_text("y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        _same_size_and_time,
        lambda path: path.chmod(0o600),
        lambda path: path.rename(path.with_name("other")),
        lambda path: path.unlink(),
        lambda path: path.with_name("new").symlink_to("7"),
    ],
    ids=["content", "mode", "name", "gone", "new"],
)
def test_every_change_is_told(root: Path, change: Callable[[Path], object]) -> None:
    before = stamp([settled(root)])
    change(root / "d" / "7")
    assert stamp([settled(root)]) not in ("", before)


def test_documents_and_prefixes_count(root: Path) -> None:
    first, second = Document("Dockerfile", b"one"), Document("Dockerfile", b"two")
    directory = settled(root)
    names = {
        stamp([first, directory]),
        stamp([second, directory]),
        stamp([directory]),
        stamp([Directory(str(root), prefix="x/")]),
    }
    assert len(names) == 4
