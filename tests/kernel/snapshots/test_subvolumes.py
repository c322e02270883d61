"""The driver btrfs where it is not like the others: subvolumes that programs make, what a snapshot shares, removal."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.files.remove import remove_tree
from sampan.kernel.btrfs import create_subvolume, has_subvolumes, snapshot_subvolume
from sampan.snapshots.subvolumes import btrfs_snapshotter
from sampan.snapshots.vfs import VfsSnapshotter
from sampan.spec.ids import ChainId
from tests.archives import Layer
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "btrfs", "mkfs.btrfs")


@pytest.fixture
def data(btrfs: Path, tmp_path: Path) -> Path:
    place = btrfs / tmp_path.name
    place.mkdir()
    return place


@pytest.fixture
def driver(data: Path) -> Iterator[VfsSnapshotter]:
    made = btrfs_snapshotter(data)
    yield made
    made.close()


@pytest.fixture
def base(driver: VfsSnapshotter) -> ChainId:
    layer = Layer()
    layer.directory("d")
    for name in ("d/a", "d/b", "large"):
        layer.file(name, name.encode() * 3 if name != "large" else os.urandom(32 << 20))
    return driver.apply(None, io.BytesIO(layer.tar())).chain


def opened(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY)


def subvolume(parent: Path, name: str) -> Path:
    directory = opened(parent)
    create_subvolume(directory, name.encode())
    os.close(directory)
    return parent / name


def snapshot(source: Path, parent: Path, name: str) -> Path:
    taken, directory = opened(source), opened(parent)
    snapshot_subvolume(taken, directory, name.encode())
    os.close(taken)
    os.close(directory)
    return parent / name


def has_nested(place: Path) -> bool:
    directory = opened(place)
    try:
        return has_subvolumes(directory)
    finally:
        os.close(directory)


def names(tar: bytes) -> list[str]:
    return subprocess.run(["tar", "-t"], input=tar, check=True, capture_output=True).stdout.decode().split()


def difference(driver: VfsSnapshotter) -> list[str]:
    return sorted(names(b"".join(driver.diff("key"))))


def test_a_container_shares_its_image(driver: VfsSnapshotter, base: ChainId, data: Path) -> None:
    os.sync()
    before = os.statvfs(data)
    driver.prepare("key", base)
    os.sync()
    after = os.statvfs(data)
    assert (before.f_bfree - after.f_bfree) * after.f_frsize < 4 << 20
    assert (data / "rw/key/root").stat().st_ino == 256
    assert (driver.usage("key").size, driver.usage("key").inodes, difference(driver)) == (0, 0, [])


def test_whatever_was_touched_is_in_the_difference(driver: VfsSnapshotter, base: ChainId, data: Path) -> None:
    """Also what size and time do not show."""
    driver.prepare("key", base)
    root = data / "rw/key/root"
    for name in ("a", "b"):
        file = root / "d" / name
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        if name == "a":
            file.write_bytes(file.read_bytes()[::-1])
        else:
            os.setxattr(file, "user.colour", b"red")
        os.utime(file, ns=times)
    os.utime(root / "large", ns=(0, (root / "large").stat().st_mtime_ns))
    assert difference(driver) == ["d/a", "d/b"]
    assert driver.usage("key").inodes == 2
    assert [change.path for change in driver.changes("key")] == [b"/d", b"/d/a", b"/d/b"]


def test_a_mended_layer_is_still_what_a_container_is_compared_with(
    driver: VfsSnapshotter, base: ChainId, data: Path
) -> None:
    """Its inodes are others then: contents decide."""
    driver.prepare("key", base)
    (data / "rw/key/root/d/new").write_text("new")
    whole = Layer()
    whole.directory("d")
    whole.file("d/a", b"d/ad/ad/a")
    chain = driver.apply(None, io.BytesIO(whole.tar())).chain
    driver.prepare("other", chain)
    (data / "rw/other/root/d/new").write_text("new")
    driver.mend(None, io.BytesIO(whole.tar()), driver.layer(chain).diff_id)
    assert names(b"".join(driver.diff("other"))) == ["d/new"]


def test_subvolumes_of_a_program_are_in_a_commit(driver: VfsSnapshotter, base: ChainId, data: Path) -> None:
    driver.prepare("key", base)
    root = data / "rw/key/root"
    inner = subvolume(subvolume(root / "d", "sub"), "inner")
    (inner / "file").write_text("inside")
    assert difference(driver) == ["d/sub/", "d/sub/inner/", "d/sub/inner/file"]
    made = driver.apply(base, io.BytesIO(b"".join(driver.diff("key"))))
    driver.prepare("next", made.chain)
    assert (data / "rw/next/root/d/sub/inner/file").read_text() == "inside"
    assert not has_nested(data / "rw/next/root")


def test_subvolumes_of_a_build_step_are_in_the_next(driver: VfsSnapshotter, base: ChainId) -> None:
    """A snapshot would have empty directories in their place."""
    first = driver.drafts.begin(base)
    sub = subvolume(first.files / "d", "sub")
    (sub / "file").write_text("inside")
    os.chmod(sub, 0o1711)
    (subvolume(sub, "inner") / "file").write_text("deeper")
    above = (first.files / "d").stat().st_mtime_ns
    driver.drafts.seal(first)
    assert not has_nested(first.files)
    assert (first.files / "d").stat().st_mtime_ns == above
    second = driver.drafts.begin(base, first)
    assert (second.files / "d/sub/file").read_text() == "inside"
    assert (second.files / "d/sub/inner/file").read_text() == "deeper"
    assert oct((second.files / "d/sub").stat().st_mode) == "0o41711"
    driver.drafts.discard(second)
    driver.drafts.discard(first)


def test_removal_with_whatever_a_program_left(driver: VfsSnapshotter, base: ChainId, data: Path) -> None:
    """Subvolumes in subvolumes, and some that nobody may write to."""
    driver.prepare("key", base)
    root = data / "rw/key/root"
    sub = subvolume(root, "sub")
    (sub / "file").write_text("x")
    for depth in range(20):
        sub = subvolume(sub, f"deeper-{depth}")
    read_only = snapshot(root / "sub", root / "d", "snapshot")
    subprocess.run(["btrfs", "property", "set", "-ts", read_only, "ro", "true"], check=True)
    subprocess.run(["btrfs", "property", "set", "-ts", root / "sub", "ro", "true"], check=True)
    driver.remove("key")
    driver.remove_layer(base)
    eventually(lambda: os.listdir(data / "trash") == [])
    assert driver.strays() == ()


def test_what_was_half_made_goes_at_the_next_start(driver: VfsSnapshotter, base: ChainId, data: Path) -> None:
    draft = driver.drafts.begin(base)
    subvolume(draft.files, "sub")
    driver.close()
    again = btrfs_snapshotter(data)
    try:
        eventually(lambda: os.listdir(data / "trash") == [])
        assert [layer.chain for layer in again.layers()] == [base]
        assert not draft.place.exists()
    finally:
        again.close()


def test_who_may_not_destroy_a_subvolume_empties_it(data: Path) -> None:
    """Root of a user namespace: BTRFS_IOC_SNAP_DESTROY wants CAP_SYS_ADMIN of the machine."""
    owned = subvolume(data, "owned")
    (subvolume(owned, "inner") / "file").write_text("x")
    for directory, _, files in os.walk(data):
        for path in (directory, *(os.path.join(directory, file) for file in files)):
            os.chown(path, 65534, 65534)
    data.parent.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            here = opened(data)
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            remove_tree(here, b"owned")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not owned.exists()


def test_a_mount_in_a_tree_is_not_entered(data: Path) -> None:
    """Another btrfs, or the same once more, has the looks of a subvolume."""
    kept = subvolume(data, "kept")
    (kept / "file").write_text("x")
    tree = data / "tree"
    (tree / "place").mkdir(parents=True)
    subprocess.run(["mount", "--bind", kept, tree / "place"], check=True)
    here = opened(data)
    try:
        with pytest.raises(OSError, match="mounted below"):
            remove_tree(here, b"tree")
        assert (kept / "file").read_text() == "x"
    finally:
        os.close(here)
        subprocess.run(["umount", tree / "place"], check=True)
    shutil.rmtree(tree)
