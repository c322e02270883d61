"""Parts of mounts that no namespace shows, as kernels before 6.15 need it done; it works on newer ones, too."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.kernel.mount import OpenTree, open_tree
from sampan.runtime.detached import part_of_detached
from sampan.snapshots.mounting import overlay
from tests.requires import requires

pytestmark = requires("root", "overlay")


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[int]:
    """A detached overlay of two directories."""
    (tmp_path / "secret").write_text("of the host")
    for name in ("lower", "upper"):
        (tmp_path / name / "etc" / name).mkdir(parents=True)
        (tmp_path / name / "etc" / "said").write_text(name)
    (tmp_path / "lower" / "etc" / "out").symlink_to(f"../../../../../..{tmp_path}")
    (tmp_path / "lower" / "etc" / "root").symlink_to("/etc/upper")
    lowers = [os.open(tmp_path / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("upper", "lower")]
    mount = overlay(lowers)
    yield mount
    for descriptor in (*lowers, mount):
        os.close(descriptor)


def names(directory: int) -> list[str]:
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return sorted(os.listdir(readable))
    finally:
        os.close(readable)


def test_a_part_and_the_whole_again(whole: int) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    for _ in range(2):
        part = part_of_detached(whole, "etc", OpenTree.CLONE)
        try:
            assert names(part) == ["lower", "out", "root", "said", "upper"]
            assert not os.get_inheritable(part)
        finally:
            os.close(part)
    assert names(whole) == ["etc"]
    assert not os.get_inheritable(whole)
    assert Path("/proc/self/mountinfo").read_text() == before, "nothing was ever seen here"
    assert os.readlink("/proc/self/ns/mnt") == os.readlink("/proc/thread-self/ns/mnt")


def test_links_stay_inside(whole: int) -> None:
    part = part_of_detached(whole, "etc/root", OpenTree.CLONE)
    assert names(part) == []
    os.close(part)
    with pytest.raises(FileNotFoundError):
        part_of_detached(whole, "etc/out/secret", OpenTree.CLONE)
    with pytest.raises(FileNotFoundError):
        part_of_detached(whole, "nowhere", OpenTree.CLONE)
    assert names(whole) == ["etc"]


def test_what_is_no_detached_mount_is_told(tmp_path: Path) -> None:
    plain = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="move_mount") as caught:
            part_of_detached(plain, ".", OpenTree.CLONE)
        assert caught.value.errno == errno.EINVAL
    finally:
        os.close(plain)


def test_of_a_copy_too(whole: int) -> None:
    part = part_of_detached(whole, ".", OpenTree.CLONE)
    copy = part_of_detached(part, "etc/upper", OpenTree.CLONE)
    assert names(copy) == []
    for descriptor in (part, copy, open_tree(-100, b"/", OpenTree.CLONE)):
        os.close(descriptor)
