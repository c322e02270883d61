"""The Snapshotter protocol's docstring, run on every driver: what a container sees is what was applied."""

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter
from sampan.snapshots import staging
from sampan.snapshots.protocol import LayerInUse, LayerNotFound, Snapshotter, chain_id
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import OverlayRoot
from tests.kernel.snapshots.drivers import DRIVERS, KINDS
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "mount-interface")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def driver(kind: str, tmp_path: Path) -> Iterator[Snapshotter]:
    made = DRIVERS[kind](tmp_path)
    yield made
    made.close()


def layer(*entries: tuple[str, bytes | None]) -> bytes:
    """A tar of files (bytes) and directories (None)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def apply(driver: Snapshotter, *layers: bytes) -> ChainId:
    parent: ChainId | None = None
    for data in layers:
        parent = driver.apply(parent, io.BytesIO(data)).chain
    assert parent is not None
    return parent


def seen(driver: Snapshotter, chain: ChainId) -> dict[str, bytes | None]:
    """What a container would find: path → content, None for directories."""
    root = driver.view(chain)
    found: dict[str, bytes | None] = {}
    pending = [""]
    try:
        while pending:
            path = pending.pop()
            descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
            for name in os.listdir(descriptor):
                inside = f"{path}/{name}".lstrip("/")
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(inside)
                    found[inside] = None
                else:
                    with open(os.open(name, os.O_RDONLY, dir_fd=descriptor), "rb") as file:
                        found[inside] = file.read()
            os.close(descriptor)
    finally:
        os.close(root)
    return found


BASE = layer(("d", None), ("d/a", b"a"), ("d/b", b"b"), ("d/e", None), ("d/e/f", b"f"), ("g", b"g"))


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ([("h", b"h")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"g", "h": b"h"}),
        ([("g", b"new")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"new"}),
        ([(".wh.g", b"")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f"}),
        ([(".wh.d", b"")], {"g": b"g"}),
        ([("d/.wh.a", b"")], {"d": None, "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"g"}),
        ([("d/.wh..wh..opq", b"")], {"d": None, "g": b"g"}),
        ([("d/.wh..wh..opq", b""), ("d/n", b"n")], {"d": None, "d/n": b"n", "g": b"g"}),
        ([("d/n", b"n"), ("d/.wh..wh..opq", b"")], {"d": None, "d/n": b"n", "g": b"g"}),
        ([("d", None), ("d/.wh..wh..opq", b""), ("d/e", None), ("d/e/x", b"x")],
         {"d": None, "d/e": None, "d/e/x": b"x", "g": b"g"}),
        ([(".wh.d", b""), ("d", None), ("d/n", b"n")], {"d": None, "d/n": b"n", "g": b"g"}),
        ([("d", None), ("d/n", b"n"), (".wh.d", b"")], {"d": None, "d/n": b"n", "g": b"g"}),
        ([("d/n", b"n"), (".wh.d", b"")], {"d": None, "d/n": b"n", "g": b"g"}),
        ([(".wh.g", b""), ("g", b"back")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"back"}),
        ([("g", b"back"), (".wh.g", b"")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"back"}),
        ([("d", b"file now")], {"d": b"file now", "g": b"g"}),
        ([(".wh.nothing", b"")], {"d": None, "d/a": b"a", "d/b": b"b", "d/e": None, "d/e/f": b"f", "g": b"g"}),
    ],
)  # fmt: skip
def test_whiteouts(
    driver: Snapshotter, above: list[tuple[str, bytes | None]], expected: dict[str, bytes | None]
) -> None:
    assert seen(driver, apply(driver, BASE, layer(*above))) == expected


def test_three_layers_and_a_directory_that_comes_back(driver: Snapshotter) -> None:
    chain = apply(driver, BASE, layer((".wh.d", b"")), layer(("d", None), ("d/n", b"n")))
    assert seen(driver, chain) == {"d": None, "d/n": b"n", "g": b"g"}


def test_metadata_is_exact(driver: Snapshotter) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, type_, mode, link in (
            ("d", tarfile.DIRTYPE, 0o1777, ""),
            ("d/s", tarfile.REGTYPE, 0o4755, ""),
            ("d/h", tarfile.LNKTYPE, 0o600, "d/s"),
            ("d/l", tarfile.SYMTYPE, 0o777, "../nowhere"),
            ("d/p", tarfile.FIFOTYPE, 0o622, ""),
            ("d/c", tarfile.CHRTYPE, 0o666, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname = type_, mode, link
            info.uid, info.gid, info.mtime = 1234, 4_000_000_000, 1_234_567_890
            info.devmajor, info.devminor = 1, 3
            if name == "d/s":
                info.pax_headers = {"SCHILY.xattr.user.color": "red"}
            tar.addfile(info)
    root = driver.view(apply(driver, buffer.getvalue()))
    try:
        for name, mode in (("d", 0o41777), ("d/s", 0o104755), ("d/l", 0o120777), ("d/p", 0o10622), ("d/c", 0o20666)):
            status = os.stat(name, dir_fd=root, follow_symlinks=False)
            assert (oct(status.st_mode), status.st_uid, status.st_gid) == (oct(mode), 1234, 4_000_000_000), name
            assert status.st_mtime == 1_234_567_890, name
        assert os.stat("d/s", dir_fd=root).st_nlink == 2
        assert os.readlink("d/l", dir_fd=root) == "../nowhere"
        assert os.stat("d/c", dir_fd=root).st_rdev == os.makedev(1, 3)
        descriptor = os.open("d/s", os.O_RDONLY, dir_fd=root)
        assert os.getxattr(descriptor, "user.color") == b"red"
        os.close(descriptor)
    finally:
        os.close(root)


def test_a_directory_that_the_layer_only_implies_keeps_its_attributes(driver: Snapshotter) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("tmp")
        info.type, info.mode, info.uid = tarfile.DIRTYPE, 0o1777, 7
        tar.addfile(info)
    root = driver.view(apply(driver, buffer.getvalue(), layer(("tmp/x/y", b""))))
    status = os.stat("tmp", dir_fd=root)
    os.close(root)
    assert (oct(status.st_mode), status.st_uid) == ("0o41777", 7)


def test_names_and_sizes(driver: Snapshotter) -> None:
    first = driver.apply(None, io.BytesIO(BASE))
    digest = DiffId("sha256:" + hashlib.sha256(BASE).hexdigest())
    assert first.diff_id == digest
    assert first.chain == ChainId(digest)
    assert first.parent is None
    assert (first.size, first.tar_size) == (4, len(BASE))
    second = driver.apply(first.chain, io.BytesIO(layer(("x", b"four"))))
    assert second.chain == chain_id(first.chain, second.diff_id)
    assert second.size == 4
    assert set(driver.layers()) == {first, second}
    assert driver.layer(second.chain) == second


def test_the_digest_is_verified(driver: Snapshotter) -> None:
    wrong = DiffId("sha256:" + "0" * 64)
    with pytest.raises(InvalidParameter, match="wrong diff id"):
        driver.apply(None, io.BytesIO(BASE), wrong)
    assert driver.layers() == ()


def test_a_known_layer_is_not_given_to_whoever_only_names_it(driver: Snapshotter) -> None:
    known = driver.apply(None, io.BytesIO(BASE))
    assert driver.apply(None, io.BytesIO(BASE), known.diff_id) == known
    with pytest.raises(InvalidParameter):
        driver.apply(None, io.BytesIO(layer(("x", b"x"))), known.diff_id)


def test_layers_and_containers_survive_a_restart(driver: Snapshotter, kind: str, tmp_path: Path) -> None:
    chain = apply(driver, BASE, layer(("x", b"x")))
    mount = driver.prepare("abc", chain)
    (tmp_path / "layers" / kind / "tmp-half").mkdir()
    driver.close()
    again = DRIVERS[kind](tmp_path)
    try:
        assert set(again.layers()) == set(driver.layers())
        assert again.mount_of("abc") == mount
        assert again.keys() == ("abc",)
        assert seen(again, chain) == seen(driver, chain)
        assert not (tmp_path / "layers" / kind / "tmp-half").exists()
    finally:
        again.close()


def test_prepare_again_keeps_what_is_there(driver: Snapshotter) -> None:
    chain = apply(driver, BASE)
    mount = driver.prepare("abc", chain)
    top = mount.upper if isinstance(mount, OverlayRoot) else mount.path
    Path(top, "written").write_text("by the container")
    assert driver.prepare("abc", chain) == mount
    assert Path(top, "written").read_text() == "by the container"
    assert oct(Path(top).stat().st_mode) == "0o40755"


def test_a_layer_in_use_stays(driver: Snapshotter) -> None:
    below = apply(driver, BASE)
    above = driver.apply(below, io.BytesIO(layer(("x", b"x")))).chain
    driver.prepare("abc", above)
    for chain in (below, above):
        with pytest.raises(LayerInUse):
            driver.remove_layer(chain)
    driver.remove("abc")
    driver.remove_layer(above)
    driver.remove_layer(below)
    assert driver.layers() == ()
    with pytest.raises(LayerNotFound):
        driver.remove_layer(below)


def test_removed_containers_go_from_the_disk(driver: Snapshotter, tmp_path: Path) -> None:
    mount = driver.prepare("abc", apply(driver, BASE))
    top = mount.upper if isinstance(mount, OverlayRoot) else mount.path
    deep = Path(top)
    for _ in range(60):
        deep = deep / "deeper"
        deep.mkdir()
    driver.remove("abc")
    driver.remove("abc")
    assert driver.keys() == ()
    with pytest.raises(LayerNotFound):
        driver.mount_of("abc")
    eventually(lambda: not os.listdir(tmp_path / "trash"), "the trash is not emptied")


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a b", "ä"])
def test_keys_are_names(driver: Snapshotter, key: str) -> None:
    with pytest.raises(InvalidParameter):
        driver.prepare(key, None)


def test_unknown_layers(driver: Snapshotter) -> None:
    nowhere = ChainId("sha256:" + "1" * 64)
    for call in (
        lambda: driver.layer(nowhere),
        lambda: driver.prepare("abc", nowhere),
        lambda: driver.apply(nowhere, io.BytesIO(BASE)),
        lambda: driver.layer_directories(nowhere),
        lambda: driver.view(nowhere),
        lambda: driver.mount_of("abc"),
        lambda: driver.usage("abc"),
    ):
        with pytest.raises(LayerNotFound):
            call()


def test_the_difference_makes_the_same_layer_again(driver: Snapshotter) -> None:
    """What a container changed, applied to its image, is what the container saw."""
    chain = apply(driver, BASE)
    driver.prepare("abc", chain)
    script = (
        "rm g; rm -r d/e; mkdir d/e; echo new > d/e/n; echo A > d/a; ln d/a d/hard; ln -s x s; chmod 700 d; mkfifo p"
    )
    root = driver.mounted("abc")
    try:
        program = ["sh", "-ec", f"cd /proc/self/fd/{root} && {script}"]
        subprocess.run(program, check=True, timeout=20, pass_fds=[root])
    finally:
        os.close(root)
    made = driver.apply(chain, io.BytesIO(b"".join(driver.diff("abc"))))
    root = driver.view(made.chain)
    try:
        assert sorted(os.listdir(root)) == ["d", "p", "s"]
        names = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        assert sorted(os.listdir(names)) == ["a", "b", "e", "hard"]
        os.close(names)
        inside = os.open("d/e", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        assert os.listdir(inside) == ["n"]
        os.close(inside)
        assert os.stat("d/a", dir_fd=root).st_ino == os.stat("d/hard", dir_fd=root).st_ino
        assert oct(os.stat("d", dir_fd=root).st_mode) == "0o40700"
    finally:
        os.close(root)
    assert driver.usage("abc").size >= len("new\nA\n")


def test_a_renamed_directory_is_whole_in_the_difference(driver: Snapshotter) -> None:
    """A directory of the image that `mv` moved, and one that took its name: what a copy of the container sees is the same."""
    chain = apply(driver, BASE)
    driver.prepare("abc", chain)
    root = driver.mounted("abc")
    try:
        script = "mv d moved; mkdir d; echo new > d/new; mv moved/e d/e; setfattr -n user.colour -v red moved/a; mv g moved/g"
        subprocess.run(["sh", "-ec", f"cd /proc/self/fd/{root} && {script}"], check=True, timeout=20, pass_fds=[root])
    finally:
        os.close(root)
    made = driver.apply(chain, io.BytesIO(b"".join(driver.diff("abc"))))
    assert seen(driver, made.chain) == {
        "d": None, "d/new": b"new\n", "d/e": None, "d/e/f": b"f",
        "moved": None, "moved/a": b"a", "moved/b": b"b", "moved/g": b"g",
    }  # fmt: skip
    view = driver.view(made.chain)
    try:
        assert os.getxattr(f"/proc/self/fd/{view}/moved/a", "user.colour") == b"red"
    finally:
        os.close(view)
    letters = {change.path: change.kind.name for change in driver.changes("abc")}
    assert letters[b"/g"] == letters[b"/d/a"] == "DELETED"
    assert letters[b"/moved"] == letters[b"/d/new"] == "ADDED"


def test_many_layers(driver: Snapshotter) -> None:
    chain = apply(driver, *(layer((f"f{number}", b"%d" % number)) for number in range(40)))
    assert len(seen(driver, chain)) == 40
    mount = driver.prepare("abc", chain)
    if isinstance(mount, OverlayRoot):
        assert len(mount.lowers) == 40
        assert all(len(os.path.basename(lower)) <= 16 for lower in mount.lowers)


def test_a_stack_has_an_end(driver: Snapshotter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_DEPTH", 3)
    chain = apply(driver, *(layer((f"f{number}", b"")) for number in range(3)))
    with pytest.raises(InvalidParameter, match="max depth exceeded"):
        driver.apply(chain, io.BytesIO(layer(("one", b"more"))))


def test_a_borrowed_layer(driver: Snapshotter, kind: str, tmp_path: Path) -> None:
    chain = ChainId("sha256:" + "2" * 64)
    driver.borrow(chain, lambda: ("/top", "/bottom"), list)
    assert driver.layers() == ()
    if kind != "overlay":
        with pytest.raises(InvalidParameter, match=kind):
            driver.prepare("abc", chain)
        return
    mount = driver.prepare("abc", chain)
    assert isinstance(mount, OverlayRoot)
    assert mount.lowers == ("/top", "/bottom")
    above = driver.apply(chain, io.BytesIO(layer(("x", b"x"))))
    mount = driver.prepare("abcd", above.chain)
    assert isinstance(mount, OverlayRoot)
    assert mount.lowers[1:] == ("/top", "/bottom")
    with pytest.raises(LayerNotFound):
        driver.view(above.chain)


def test_a_lost_record_is_mended_by_prepare(kind: str, tmp_path: Path) -> None:
    first = DRIVERS[kind](tmp_path)
    chain = apply(first, BASE)
    mount = first.prepare("abc", chain)
    top = Path(mount.upper if isinstance(mount, OverlayRoot) else mount.path)
    (top / "written").touch()
    first.close()
    os.removexattr(tmp_path / "rw/abc", "trusted.sampan.layer")
    (tmp_path / "rw/.spare-old").mkdir()
    again = DRIVERS[kind](tmp_path)
    try:
        assert again.keys() == ("abc",)
        assert not (tmp_path / "rw/.spare-old").exists()
        with pytest.raises(LayerNotFound):
            again.mount_of("abc")
        assert again.prepare("abc", chain) == mount
        assert (top / "written").exists()
    finally:
        again.close()
