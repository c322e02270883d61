"""Every hostile archive against every way in: stored exactly inside the root, or refused with nothing left behind."""

import io
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from sampan.content.store import Content
from sampan.errors import InvalidParameter
from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive, TarReader
from sampan.images.images import Images
from sampan.snapshots import jail
from sampan.snapshots.extract import Extraction
from sampan.snapshots.marks import OverlayMarks, set_opaque
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.vfs import VfsSnapshotter
from sampan.state.store import Store
from sampan.transfer.placing import Placing
from tests.oci_archives import OciArchive
from tests.requires import requires
from tests.security.hostile_tars import END, Case, cases, file
from tests.waiting import within

pytestmark = requires("root")

CANARY = Path("/tmp") / f"sampan-canary-{os.getpid()}"
MATRIX = cases(os.fsencode(CANARY))


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory outside whose content and metadata must not change."""
    CANARY.mkdir()
    (CANARY / "file").write_bytes(b"canary")
    before = state(CANARY)
    try:
        yield CANARY
        assert state(CANARY) == before, "something outside the root was touched"
    finally:
        for path in CANARY.iterdir():
            path.unlink()
        CANARY.rmdir()


def state(directory: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted([directory, *directory.rglob("*")]):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found.append((path, status.st_ino, status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, data))
    return found


@pytest.fixture(params=["overlay", "vfs"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Snapshotter]:
    made: Snapshotter = OverlaySnapshotter(tmp_path) if request.param == "overlay" else VfsSnapshotter(tmp_path)
    yield made
    made.close()


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
@within(5)
def test_layer(case: Case, driver: Snapshotter, outside: Path, tmp_path: Path) -> None:
    memory = resident()
    if case.stored is None:
        with pytest.raises(InvalidParameter):
            driver.apply(None, io.BytesIO(case.archive))
        assert driver.layers() == ()
        left = [path for path in (tmp_path / "layers").glob("*/*") if path.name != "l"]
        assert left == []
    else:
        layer = driver.apply(None, io.BytesIO(case.archive))
        root = driver.layer_directories(layer.chain)[0]
        for path, expected in case.stored.items():
            place = os.path.join(root, path)
            assert os.path.lexists(place), path
            if expected is not None:
                with open(place, "rb") as found:
                    assert found.read() == expected
        for path in case.absent:
            assert not os.path.lexists(os.path.join(root, path))
    assert resident() - memory < 64 * 1024


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
def test_import(case: Case, outside: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    snapshots = OverlaySnapshotter(tmp_path)
    images = Images(store, Content(tmp_path / "content"), snapshots)
    try:
        if case.stored is None:
            with pytest.raises(InvalidParameter):
                images.import_(io.BytesIO(case.archive))
            assert images.count() == 1
            assert list((tmp_path / "content/blobs/sha256").iterdir()) == []
            assert list((tmp_path / "content/ingest").iterdir()) == []
        else:
            images.import_(io.BytesIO(case.archive))
            assert images.count() == 2
    finally:
        snapshots.close()
        store.close()


def test_load_with_the_whole_matrix_beside_an_image(outside: Path, tmp_path: Path) -> None:
    """All of it in one archive: unpacked while it comes in, wanted by no image, thrown away."""
    store = Store(tmp_path / "db")
    snapshots = OverlaySnapshotter(tmp_path)
    images = Images(store, Content(tmp_path / "content"), snapshots)
    archive = OciArchive()
    for case in MATRIX:
        archive.blob(case.archive, "application/octet-stream")
    archive.name(archive.image([file(b"good") + END]), "docker.io/library/good:1")
    try:
        list(images.load(io.BytesIO(archive.tar())))
        assert images.resolve("good:1")
        assert len(snapshots.layers()) == 1
        assert len([path for path in (tmp_path / "layers").glob("*/*") if path.name != "l"]) == 1
        assert len(list((tmp_path / "content/blobs/sha256").iterdir())) == 3
    finally:
        snapshots.close()
        store.close()


def test_indexes_in_indexes_have_an_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    snapshots = OverlaySnapshotter(tmp_path)
    images = Images(store, Content(tmp_path / "content"), snapshots)
    archive = OciArchive()
    entry = archive.image([file(b"good") + END])
    for _ in range(10):
        entry = archive.index([entry])
    archive.name(entry, "docker.io/library/deep:1")
    try:
        with pytest.raises(InvalidParameter, match="nested too deeply"):
            list(images.load(io.BytesIO(archive.tar())))
        assert images.count() == 1
    finally:
        snapshots.close()
        store.close()


def test_a_window_of_two_gigabytes_is_refused(driver: Snapshotter) -> None:
    # By hand (RFC 8878, 3.1.1): a packer would take the memory itself. A window of 10 + 21 bits, and one block as it is.
    data = file(b"f") + END
    compressed = b"\x28\xb5\x2f\xfd" + bytes((0, 21 << 3)) + (len(data) << 3 | 1).to_bytes(3, "little") + data
    assert zstandard.get_frame_parameters(compressed).window_size == 1 << 31
    with pytest.raises(InvalidParameter):
        driver.apply(None, io.BytesIO(compressed))


def test_a_symlink_of_a_lower_layer_leads_nowhere_outside(driver: Snapshotter, outside: Path) -> None:
    from tests.security.hostile_tars import symlink

    below = driver.apply(None, io.BytesIO(symlink(b"e", os.fsencode(outside)) + END))
    try:
        driver.apply(below.chain, io.BytesIO(file(b"e/file", b"evil") + file(b"e/new", b"evil") + END))
    except InvalidParameter:
        pass  # vfs sees the link and refuses; overlay makes a directory of its own


def test_nothing_of_the_machine_is_reachable_in_the_jail(driver: Snapshotter) -> None:
    """A hard link to a file of the machine, by every path that could mean it from inside the jail."""
    from tests.security.hostile_tars import hard_link

    for target in (b"/etc/passwd", b"/proc/self/exe", b"/proc/1/root/etc/passwd", b"/dev/null"):
        with pytest.raises(InvalidParameter):
            driver.apply(None, io.BytesIO(hard_link(b"stolen", target) + END))


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
def test_extraction_holds_without_the_jail(case: Case, outside: Path, tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    stream = decompressed(io.BytesIO(case.archive))
    try:
        extraction = Extraction(root, OverlayMarks(set_opaque), 1 << 30)
        if case.stored is None:
            with pytest.raises(InvalidParameter):
                extraction.run(TarReader(stream.read))
                while stream.read(1 << 16):
                    pass
        else:
            extraction.run(TarReader(stream.read))
    finally:
        os.close(root)


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
def test_placing_into_a_living_tree_holds_without_the_jail(case: Case, outside: Path, tmp_path: Path) -> None:
    """`docker cp` into a container: names below `base` only, links inside the root, and what was there stays."""
    (tmp_path / "base").mkdir()
    (tmp_path / "beside").write_bytes(b"beside")
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    stream = decompressed(io.BytesIO(case.archive))
    try:
        Placing(root, b"base", 1 << 30, None, False).run(TarReader(stream.read))
        while stream.read(1 << 16):
            pass
    except InvalidParameter:
        pass
    finally:
        os.close(root)
    assert (tmp_path / "beside").read_bytes() == b"beside"


_INSIDE = """
import os, socket, sys
sys.path.append(sys.argv.pop(1))
from sampan.kernel.mount import MS, mount
from sampan.snapshots import unpacker

def hostile(control, marks, limit, second):
    found = []
    if THREAD == "second":
        second.take(lambda: attempt_all(found))
        second.finish()
    else:
        attempt_all(found)
    return {"failed": "archive", "message": repr(found)}

def attempt_all(found):
    for path in ("/etc/passwd", "/proc/self/status", "/dev/null"):
        if os.path.lexists(path):
            found.append(path)
    attempts = {
        "mount": lambda: mount(b"tmpfs", b"/", b"tmpfs", MS(0)),
        "chroot": lambda: os.chroot("/"),
        "kill": lambda: os.kill(os.getppid(), 0),
        "socket": lambda: socket.socket(),
        "fork": lambda: os.fork() or os._exit(0),
        "execute": lambda: os.execv("/f", ["/f"]) ,
        "setuid": lambda: os.setresuid(1, 1, 1),
        "up": lambda: os.stat("../../../../etc/passwd"),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            found.append(name)
        except OSError:
            pass
    for number in range(5, 64):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass

unpacker._unpack = hostile
unpacker.main()
"""


@pytest.mark.parametrize("thread", ["first", "second"])
def test_the_jail_holds_without_the_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread: str) -> None:
    """Whoever took the unpacker over: no file of the machine, no network, no mount, no other process, no descriptor."""
    monkeypatch.setattr(jail, "_PROGRAM", f"THREAD = {thread!r}\n{_INSIDE}")
    snapshots = OverlaySnapshotter(tmp_path)
    try:
        with pytest.raises(BadArchive, match=r"^\[\]$"):
            snapshots.apply(None, io.BytesIO(file(b"f") + END))
    finally:
        snapshots.close()
