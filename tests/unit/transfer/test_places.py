"""Paths as `docker cp` means them, and links told of inside a root."""

import os
import stat
from pathlib import Path

import pytest

from sampan.files.paths import BadPath
from sampan.transfer.places import Place, link_target, open_parent, stat_of


@pytest.mark.parametrize(
    ("text", "path", "base", "directory"),
    [
        (b"/etc", b"etc", b"etc", False),
        (b"etc", b"etc", b"etc", False),
        (b"/etc/", b"etc", b"etc", True),
        (b"/etc/.", b"etc", b".", True),
        (b"/etc/./", b"etc", b"etc", True),
        (b"/", b"", b"/", True),
        (b".", b"", b".", True),
        (b"/.", b"", b".", True),
        (b"/a/../../b", b"b", b"b", False),
        (b"//a//b", b"a/b", b"b", False),
        (b"/..", b"", b"/", True),
    ],
)
def test_place(text: bytes, path: bytes, base: bytes, directory: bool) -> None:
    place = Place(text)
    assert (place.path, place.base, place.directory) == (path, base, directory)


def test_a_path_with_nul_is_refused() -> None:
    with pytest.raises(BadPath):
        Place(b"/a\0b")


@pytest.fixture
def root(tmp_path: Path) -> int:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("f")
    for name, target in (
        ("absolute", "/d/f"),
        ("relative", "d/../d/f"),
        ("above", "../../../etc/passwd"),
        ("dangling", "/no/such"),
        ("chain", "relative"),
        ("loop", "loop"),
        ("dir", "/d"),
    ):
        (tmp_path / name).symlink_to(target)
    return os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"absolute", b"/d/f"),
        (b"relative", b"/d/f"),
        (b"above", b"/etc/passwd"),
        (b"dangling", b"/no/such"),
        (b"chain", b"/d/f"),
        (b"dir", b"/d"),
    ],
)
def test_link_target_is_inside(root: int, path: bytes, target: bytes) -> None:
    assert link_target(root, Place(path)) == target


def test_a_loop_has_no_target(root: int) -> None:
    with pytest.raises(OSError, match="Too many levels"):
        link_target(root, Place(b"loop"))


def test_the_last_link_is_followed_only_with_a_slash(root: int) -> None:
    assert stat.S_ISLNK(stat_of(root, Place(b"/dir")).st_mode)
    assert stat.S_ISDIR(stat_of(root, Place(b"/dir/")).st_mode)
    assert stat.S_ISDIR(stat_of(root, Place(b"/dir/.")).st_mode)
    with pytest.raises(NotADirectoryError):
        stat_of(root, Place(b"/d/f/"))


def test_a_parent_above_the_root_is_the_root(root: int) -> None:
    parent, name = open_parent(root, Place(b"../above/../d"))
    assert name == b"d"
    assert os.fstat(parent).st_ino == os.fstat(root).st_ino
