import os
import stat
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter
from sampan.files.atomic import make_directory, write_atomic
from sampan.files.copying import copy_tree
from sampan.files.lock import Locked, LockFile
from sampan.files.measure import measure
from sampan.files.remove import empty_directory, remove_tree
from sampan.files.root import SafeRoot


def content(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc/passwd").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    return inside


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/passwd", "../../etc/passwd", "abs", "up", "dir/passwd"])
def test_every_path_ends_inside(root: Path, path: str) -> None:
    (root / "abs").symlink_to("/etc/passwd")
    (root / "up").symlink_to("../../../etc/passwd")
    (root / "dir").symlink_to("/etc")
    with SafeRoot(str(root)) as safe:
        assert content(safe.open(path, os.O_RDONLY)) == b"inside"


@pytest.mark.parametrize("target", ["../secret", "/proc/self/root/secret"])
def test_links_do_not_lead_out(root: Path, target: str) -> None:
    (root / "out").symlink_to(target)
    with SafeRoot(str(root)) as safe, pytest.raises(OSError, match=r"openat2"):
        safe.open("out", os.O_RDONLY)


def test_parents_and_directories(root: Path) -> None:
    (root / "link").symlink_to("/etc")
    with SafeRoot(str(root)) as safe:
        parent, name = safe.open_parent("link/new")
        assert (os.fstat(parent).st_ino, name) == ((root / "etc").stat().st_ino, b"new")
        os.close(parent)
        os.close(safe.make_directories("link/a/b", 0o711))
        assert oct((root / "etc/a/b").stat().st_mode) == "0o40711"
        (root / "dangling").symlink_to("nowhere")
        with pytest.raises(FileExistsError):
            safe.make_directories("dangling/x")
        for wrong in ("", "/", "../x", "a\0b"):
            with pytest.raises(InvalidParameter):
                safe.open_parent(wrong)


def test_remove_tree_follows_nothing(root: Path, tmp_path: Path) -> None:
    (root / "etc/out").symlink_to(tmp_path)
    deep = root / "etc"
    for number in range(300):
        deep = deep / f"d{number % 10}"
        deep.mkdir()
        (deep / "file").touch()
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(handle, b"etc")
        remove_tree(handle, b"etc")
        assert os.listdir(root) == []
        assert (tmp_path / "secret").read_text() == "outside"
        for wrong in (b"..", b".", b"", b"a/b"):
            with pytest.raises(InvalidParameter):
                remove_tree(handle, wrong)
    finally:
        os.close(handle)


def test_remove_and_empty(root: Path) -> None:
    (root / "file").touch()
    (root / "empty").mkdir()
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(handle, b"file")
        empty_directory(handle)
    finally:
        os.close(handle)
    assert os.listdir(root) == []


def test_write_atomic(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one", 0o644)
    write_atomic(path, b"two", 0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path, b"x")
    assert os.listdir(tmp_path.parent).count(tmp_path.name) == 1


def test_make_directory_sets_the_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert stat.S_IMODE(make_directory(tmp_path / "d", 0o755).stat().st_mode) == 0o755
    finally:
        os.umask(before)
    (tmp_path / "link").symlink_to("d")
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "link")


def test_lock(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "lock")
    with pytest.raises(Locked, match=str(os.getpid())):
        LockFile(tmp_path / "lock")
    lock.close()
    LockFile(tmp_path / "lock").close()


@pytest.mark.parametrize("share", [False, True])
def test_copy_tree(root: Path, tmp_path: Path, share: bool) -> None:
    (root / "etc/hard").hardlink_to(root / "etc/passwd")
    (root / "etc/link").symlink_to("/secret")
    (root / "etc").chmod(0o750)
    os.utime(root / "etc", ns=(5, 5))
    copy = tmp_path / "copy"
    copy.mkdir()
    source, target = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (root, copy))
    try:
        copy_tree(source, target, share)
        assert measure(target) == (len("inside") + len("/secret"), 3)
    finally:
        os.close(source)
        os.close(target)
    assert (copy / "etc/passwd").read_text() == "inside"
    assert os.readlink(copy / "etc/link") == "/secret"
    assert (copy / "etc/hard").stat().st_ino == (copy / "etc/passwd").stat().st_ino
    assert ((copy / "etc/passwd").stat().st_ino == (root / "etc/passwd").stat().st_ino) == share
    status = (copy / "etc").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o750, 5)
