"""Layers against GNU tar: a tree of everything that a tar can say, unpacked by both, and packed again."""

import io
import os
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.files.walk import walk
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from tests.archives import docker_archive
from tests.daemons import Docker
from tests.kernel.snapshots.drivers import DRIVERS, KINDS
from tests.requires import requires

pytestmark = requires("root", "overlay")
MOMENT = 1_234_567_890_123_456_789
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
# linux/posix_acl_xattr.h: version 2, then tag, permissions, id.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, 0xFFFFFFFF), (2, 7, 1234), (4, 4, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF))
)
FORMATS = {
    "pax": ("--format=pax", "--xattrs", "--xattrs-include=*"),
    "pax-sparse-0.1": ("--format=pax", "--sparse", "--sparse-version=0.1", "--xattrs", "--xattrs-include=*"),
    "pax-sparse-1.0": ("--format=pax", "--sparse", "--xattrs", "--xattrs-include=*"),
    "gnu": ("--format=gnu", "--sparse"),
}


def build(root: Path) -> None:
    """Everything that ext4 can hold and a tar can say."""
    (root / "deep" / ("d" * 120) / ("e" * 120)).mkdir(parents=True)
    (root / "deep" / ("d" * 120) / ("e" * 120) / ("f" * 200)).write_bytes(b"long name")
    (root / "ünï\nnew").write_bytes(b"odd name")
    os.symlink("x" * 300, root / "long-link")
    os.symlink("../../outside", root / "link")
    os.link(root / "link", root / "link-to-link", follow_symlinks=False)
    (root / "setuid").write_bytes(b"s")
    os.chown(root / "setuid", 1234, 4_000_000_000)
    os.chmod(root / "setuid", 0o6755)
    (root / "none").write_bytes(b"")
    os.chmod(root / "none", 0)
    os.link(root / "setuid", root / "hard")
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "char", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "block", stat.S_IFBLK | 0o660, os.makedev(259, 1 << 19))
    (root / "sticky").mkdir()
    os.chown(root / "sticky", 0, 77)
    os.chmod(root / "sticky", 0o3777)
    (root / "sticky" / "inside").mkdir()
    (root / "sticky" / "inside" / "file").write_bytes(b"x")
    with open(root / "sparse", "wb") as file:
        for place in (0, 3 << 20, 20 << 20):
            file.seek(place)
            file.write(b"data" * 5000)
        file.truncate(64 << 20)
    (root / "attributes").write_bytes(b"a")
    for key, value in (
        ("user.color", b"red\0blue"),
        ("security.capability", CAPABILITY),
        ("system.posix_acl_access", ACL),
    ):
        os.setxattr(root / "attributes", key, value)
    # As large as what a second thread writes, and larger.
    for name, size in (("large", 100_000), ("larger", 5 << 20)):
        (root / name).write_bytes(bytes(range(256)) * (size // 256))
        os.chown(root / name, 1234, 77)
        os.chmod(root / name, 0o6751)
        os.setxattr(root / name, "user.color", name.encode())
        os.link(root / name, root / f"{name}-linked")
        # Of root: GNU tar sets the owner last, which takes capabilities away.
        (root / f"{name}-capable").write_bytes(bytes(range(256)) * (size // 256))
        os.setxattr(root / f"{name}-capable", "security.capability", CAPABILITY)
    (root / "listed").mkdir()
    (root / "listed" / "child").write_bytes(b"made before the list was")
    for key in ("system.posix_acl_access", "system.posix_acl_default"):
        os.setxattr(root / "listed", key, ACL)
    os.setxattr(root / "listed", "user.color", b"green")
    for number, (path, *_) in enumerate(list(entries(root))):
        os.utime(root / os.fsdecode(path), ns=(MOMENT, MOMENT + number * 1_000_000_007), follow_symlinks=False)


def entries(root: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Children first: a directory's time is the last to be set.
        yield from reversed([(path, status) for path, _, _, status in walk(descriptor)])
    finally:
        os.close(descriptor)


def described(root: Path, *, attributes: bool = True, nanoseconds: bool = True) -> dict[bytes, tuple[object, ...]]:
    found: dict[bytes, tuple[object, ...]] = {}
    first: dict[int, bytes] = {}
    for path, status in sorted(entries(root)):
        place = os.path.join(os.fsencode(root), path)
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = Path(os.fsdecode(place)).read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(place)
        names = os.listxattr(place, follow_symlinks=False)
        found[path] = (
            oct(status.st_mode),
            (status.st_uid, status.st_gid, status.st_rdev),
            status.st_mtime_ns if nanoseconds else status.st_mtime_ns // 1_000_000_000,
            first.setdefault(status.st_ino, path) if not stat.S_ISDIR(status.st_mode) else b"",
            hash(content),
            {name: os.getxattr(place, name, follow_symlinks=False) for name in names} if attributes else {},
        )
    return found


@pytest.fixture(params=KINDS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Snapshotter]:
    (tmp_path / "data").mkdir()
    made = DRIVERS[str(request.param)](tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_as_gnu_tar(driver: Snapshotter, tmp_path: Path, form: str) -> None:
    tree, theirs, archive = tmp_path / "tree", tmp_path / "theirs", tmp_path / "archive.tar"
    tree.mkdir()
    theirs.mkdir()
    build(tree)
    subprocess.run(["tar", "-C", tree, *FORMATS[form], "--numeric-owner", "-cf", archive, "."], check=True, timeout=60)
    extract = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"]
    subprocess.run(["tar", "-C", theirs, *extract, archive], check=True, timeout=60)
    with archive.open("rb") as stream:
        layer = driver.apply(None, stream)
    ours = Path(driver.layer_directories(layer.chain)[0])
    assert described(ours) == described(theirs)
    exact = form != "gnu"
    assert described(ours, attributes=exact, nanoseconds=exact) == described(tree, attributes=exact, nanoseconds=exact)
    if form != "pax":
        assert (ours / "sparse").stat().st_blocks * 512 < 1 << 20


@requires("dockerd", "docker-client")
def test_the_same_as_docker(driver: Snapshotter, tmp_path: Path, peer: Docker) -> None:
    tree, archive = tmp_path / "tree", tmp_path / "archive.tar"
    tree.mkdir()
    build(tree)
    form = [*FORMATS["pax-sparse-1.0"], "--numeric-owner"]
    subprocess.run(["tar", "-C", tree, *form, "-cf", archive, "."], check=True, timeout=60)
    data = archive.read_bytes()
    outcome = peer.docker("load", stdin=docker_archive(f"exact-{driver.name}:1", [data], {}))
    assert outcome.code == 0, outcome
    place = peer.docker("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", f"exact-{driver.name}:1").text
    with archive.open("rb") as stream:
        layer = driver.apply(None, stream)
    ours, theirs = (described(Path(root)) for root in (driver.layer_directories(layer.chain)[0], place))
    # Docker sets a directory's default ACL before its content, which takes it over; the archive says nothing of the sort.
    assert theirs[b"listed/child"][-1] != {}
    theirs[b"listed/child"] = (*theirs[b"listed/child"][:-1], {})
    assert ours == theirs


def test_what_a_container_holds_goes_the_way_unchanged(tmp_path: Path) -> None:
    """Into a layer, by way of a writable layer's difference, as commit does."""
    (tmp_path / "data").mkdir()
    driver = OverlaySnapshotter(tmp_path / "data")
    try:
        driver.prepare("key", None)
        upper = tmp_path / "data/rw/key/upper"
        build(upper)
        archive = tmp_path / "difference.tar"
        archive.write_bytes(b"".join(driver.diff("key")))
        with archive.open("rb") as stream:
            layer = driver.apply(None, stream)
        # Layers have whole seconds, as Docker writes them.
        made = Path(driver.layer_directories(layer.chain)[0])
        assert described(made, nanoseconds=False) == described(upper, nanoseconds=False)
    finally:
        driver.close()


def test_what_is_written_through_a_mount_goes_the_way_unchanged(driver: Snapshotter, tmp_path: Path) -> None:
    """As a container writes it, through whoever merges; what is seen in a container of the commit is what was built."""
    tree, archive = tmp_path / "tree", tmp_path / "difference.tar"
    tree.mkdir()
    build(tree)
    base = driver.apply(None, io.BytesIO(bytes(10240)))
    driver.prepare("key", base.chain)
    root = driver.mounted("key")
    try:
        build(Path(f"/proc/self/fd/{root}"))
    finally:
        os.close(root)
    archive.write_bytes(b"".join(driver.diff("key")))
    with archive.open("rb") as stream:
        made = driver.apply(base.chain, stream)
    view = driver.view(made.chain)
    try:
        seen = described(Path(f"/proc/self/fd/{view}"), nanoseconds=False)
    finally:
        os.close(view)
    wanted = described(tree, nanoseconds=False)
    if driver.name == "fuse-overlayfs":
        # What it makes in a set-group-ID directory has the group of who asked, not the directory's (docs/storage.md).
        for path in (b"sticky/inside", b"sticky/inside/file"):
            assert seen.pop(path)[1] == (0, 0, 0)
            del wanted[path]
    assert seen == wanted
