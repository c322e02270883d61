"""The file that an unpacker is given instead of a pipe: the same bytes, and nothing that it could change."""

import errno
import gzip
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter
from sampan.snapshots import jail
from sampan.snapshots.overlay import OverlaySnapshotter
from tests.archives import busybox_rootfs
from tests.requires import requires

pytestmark = requires("root", "overlay", "mount-interface")


def view(path: Path, skip: int = 0) -> int:
    with path.open("rb") as stream:
        stream.read(skip)
        return jail._own_view(stream)


def test_it_can_be_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(busybox_rootfs())
    before = path.stat()
    descriptor = view(path)
    try:
        assert os.pread(descriptor, 1 << 20, 0) == busybox_rootfs()[: 1 << 20]
        attempts: dict[str, Callable[[], object]] = {
            "mode": lambda: os.fchmod(descriptor, 0o777),
            "owner": lambda: os.fchown(descriptor, 1, 1),
            "time": lambda: os.utime(descriptor, ns=(0, 0)),
            "attribute": lambda: os.setxattr(descriptor, "user.a", b"b"),
            "content": lambda: os.pwrite(descriptor, b"evil", 0),
            "again": lambda: os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY),
        }
        refusals = f"{os.strerror(errno.EROFS)}|{os.strerror(errno.EBADF)}"
        for attempt in attempts.values():
            with pytest.raises(OSError, match=refusals):
                attempt()
    finally:
        os.close(descriptor)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_only_of_a_whole_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(gzip.compress(busybox_rootfs()))
    assert view(path) == -1
    path.write_bytes(busybox_rootfs())
    assert view(path, skip=512) == -1
    assert jail._own_view(io.BytesIO(busybox_rootfs())) == -1


def test_a_file_and_a_stream_make_the_same_layer(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(busybox_rootfs() + bytes(10_000))
    digests = set()
    for name in ("file", "stream"):
        (tmp_path / name).mkdir()
        driver = OverlaySnapshotter(tmp_path / name)
        with path.open("rb") as file:
            layer = driver.apply(None, file if name == "file" else io.BytesIO(file.read()))
        digests.add((layer.diff_id, layer.size, layer.tar_size))
        driver.close()
    assert len(digests) == 1
    assert digests.pop()[0] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(busybox_rootfs()[:100_000])
    driver = OverlaySnapshotter(tmp_path)
    try:
        with path.open("rb") as file, pytest.raises(InvalidParameter, match="unexpected EOF"):
            driver.apply(None, file)
        assert driver.layers() == ()
    finally:
        driver.close()
