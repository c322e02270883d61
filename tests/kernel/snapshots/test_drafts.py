"""Layers made by writing to them, on every driver: one stands on the other before it has a name, and is like any in the end."""

import hashlib
import io
import os
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter
from sampan.snapshots import staging
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Draft, Layer, LayerNotFound, Snapshotter
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import OverlayRoot, PlainRoot
from tests.archives import busybox_rootfs
from tests.kernel.snapshots.drivers import DRIVERS, KINDS, WHOLE
from tests.requires import requires

pytestmark = requires("root", "overlay", "mount-interface")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def driver(kind: str, tmp_path: Path) -> Iterator[Snapshotter]:
    made = DRIVERS[kind](tmp_path)
    yield made
    made.close()


@pytest.fixture
def base(driver: Snapshotter) -> ChainId:
    return driver.apply(None, io.BytesIO(busybox_rootfs())).chain


def write(driver: Snapshotter, draft: Draft, *files: tuple[str, bytes]) -> None:
    root = driver.drafts.opened(draft)
    try:
        for name, content in files:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=root)
            os.write(descriptor, content)
            os.close(descriptor)
    finally:
        os.close(root)


def names_in(directory: int) -> list[str]:
    readable = os.open(".", os.O_RDONLY, dir_fd=directory)
    try:
        return os.listdir(readable)
    finally:
        os.close(readable)


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


def place(driver: Snapshotter, parent: ChainId | None, draft: Draft, tar: bytes) -> Layer:
    return driver.drafts.place(parent, draft, DiffId("sha256:" + hashlib.sha256(tar).hexdigest()), len(tar))


def read(directory: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def differences(comparison: Generator[int, None, tuple[str, ...]]) -> tuple[str, ...]:
    while True:
        try:
            next(comparison)
        except StopIteration as end:
            found: tuple[str, ...] = end.value
            return found


def test_each_stands_on_the_last_and_becomes_a_layer(driver: Snapshotter, base: ChainId, kind: str) -> None:
    drafts = driver.drafts
    first = drafts.begin(base)
    write(driver, first, ("one", b"1"), ("etc/passwd", b"changed"))
    drafts.seal(first)
    second = drafts.begin(base, first)
    write(driver, second, ("two", b"2"))
    root = drafts.opened(second)
    assert (read(root, "one"), read(root, "etc/passwd")) == (b"1", b"changed")
    os.unlink("one", dir_fd=root)
    os.close(root)
    drafts.seal(second)
    tars = [b"".join(drafts.tar(draft)) for draft in (first, second)]
    assert set(names(tars[0])) == {"etc", "etc/passwd", "one"} - ({"etc"} if kind in WHOLE else set())
    assert set(names(tars[1])) == {"two", ".wh.one"}
    lower = place(driver, base, first, tars[0])
    upper = place(driver, lower.chain, second, tars[1])
    assert upper.size == 1
    assert driver.strays() == ()
    view = driver.view(upper.chain)
    try:
        assert "one" not in names_in(view)
        assert (read(view, "two"), read(view, "etc/passwd")) == (b"2", b"changed")
    finally:
        os.close(view)
    # The same layer, unpacked from its tar, is the same: nothing but the tar's content lies in it.
    assert differences(driver.verify(lower.chain, io.BytesIO(tars[0]))) == ()


def test_on_nothing(driver: Snapshotter) -> None:
    drafts = driver.drafts
    draft = drafts.begin(None)
    assert isinstance(drafts.root(draft), PlainRoot)
    write(driver, draft, ("file", b"x"))
    drafts.seal(draft)
    view = drafts.view(None, draft)
    assert read(view, "file") == b"x"
    os.close(view)
    tar = b"".join(drafts.tar(draft))
    assert place(driver, None, draft, tar).parent is None


def test_what_a_start_made_is_taken_out(driver: Snapshotter, base: ChainId) -> None:
    drafts = driver.drafts
    before = drafts.view(base, None)
    etc = os.stat("etc", dir_fd=before)
    os.close(before)
    draft = drafts.begin(base)
    write(driver, draft, (".dockerenv", b""), ("etc/hosts", b""), ("etc/resolv.conf", b""))
    root = drafts.opened(draft)
    os.makedirs(f"/proc/self/fd/{root}/run/secrets/deep")
    os.close(root)
    write(driver, draft, ("run/secrets/one", b""), ("run/secrets/deep/kept", b"x"))
    drafts.seal(draft, mounted=["/run/secrets/one", "/run/secrets/deep/kept", "/tmp"])
    found = set(names(b"".join(drafts.tar(draft))))
    # fuse-overlayfs marks every new directory: nothing lies below it that could show.
    assert {name for name in found if not name.endswith("/.wh..wh..opq")} == {
        "run",
        "run/secrets",
        "run/secrets/deep",
        "run/secrets/deep/kept",
    }
    drafts.discard(draft)
    draft = drafts.begin(base)
    write(driver, draft, (".dockerenv", b""), ("etc/hosts", b""), ("etc/resolv.conf", b""))
    drafts.seal(draft, mounted=[])
    assert names(b"".join(drafts.tar(draft))) == []
    view = drafts.view(base, draft)
    assert os.stat("etc", dir_fd=view).st_mtime_ns == etc.st_mtime_ns
    assert not {".dockerenv"} & set(names_in(view))
    os.close(view)
    drafts.discard(draft)


def test_what_a_program_put_there_stays(driver: Snapshotter, base: ChainId) -> None:
    draft = driver.drafts.begin(base)
    write(driver, draft, ("etc/hosts", b"127.0.0.1 mine\n"))
    driver.drafts.seal(draft)
    assert "etc/hosts" in names(b"".join(driver.drafts.tar(draft)))
    driver.drafts.discard(draft)


def test_what_looks_like_a_place_for_a_mount_is_none_where_nothing_was_mounted(
    driver: Snapshotter, base: ChainId
) -> None:
    draft = driver.drafts.begin(None)
    root = driver.drafts.opened(draft)
    for name in ("dev", "etc"):
        os.mkdir(name, dir_fd=root)
    os.close(root)
    write(driver, draft, ("etc/hosts", b""))
    driver.drafts.seal(draft)
    assert names(b"".join(driver.drafts.tar(draft))) == ["dev", "etc", "etc/hosts"]
    driver.drafts.discard(draft)


def test_nothing_is_younger_than_the_clock(driver: Snapshotter, base: ChainId) -> None:
    tars = []
    for _ in range(2):
        draft = driver.drafts.begin(base)
        write(driver, draft, ("etc/new", b"1"), ("other", b"2"))
        driver.drafts.seal(draft, clock=1_000_000_000)
        tars.append(b"".join(driver.drafts.tar(draft)))
        driver.drafts.discard(draft)
    assert tars[0] == tars[1]
    with tarfile.open(fileobj=io.BytesIO(tars[0])) as archive:
        assert {member.mtime for member in archive.getmembers()} == {1_000_000_000}


def test_a_crash_leaves_nothing(driver: Snapshotter, base: ChainId, kind: str, tmp_path: Path) -> None:
    draft = driver.drafts.begin(base)
    write(driver, draft, ("file", b"x"))
    driver.close()
    again = DRIVERS[kind](tmp_path)
    try:
        assert not draft.place.exists()
        assert not os.path.lexists(draft.link)
        assert [layer.chain for layer in again.layers()] == [base]
    finally:
        again.close()


def test_refusals(driver: Snapshotter, base: ChainId, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LayerNotFound):
        driver.drafts.begin(ChainId("sha256:" + "0" * 64))
    first = driver.drafts.begin(base)
    driver.drafts.seal(first)
    monkeypatch.setattr(staging, "MAX_DEPTH", 2)
    with pytest.raises(InvalidParameter, match="max depth exceeded"):
        driver.drafts.begin(base, first)
    driver.drafts.discard(first)
    assert driver.strays() == ()


def test_lowers_are_short_names(tmp_path: Path) -> None:
    driver = OverlaySnapshotter(tmp_path)
    base = driver.apply(None, io.BytesIO(busybox_rootfs())).chain
    first = driver.drafts.begin(base)
    second = driver.drafts.begin(base, first)
    root = driver.drafts.root(second)
    assert isinstance(root, OverlayRoot)
    assert [os.path.realpath(lower) for lower in root.lowers] == [
        str(first.files.resolve()),
        *driver.layer_directories(base),
    ]
    driver.close()
