"""ADD of archives, WORKDIR, and trees of documents, on real files."""

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from sampan.build.operations import MakeDirectory
from sampan.build.tree.directory import NoDirectory, make_directory
from sampan.build.tree.owners import BadOwner
from sampan.build.tree.source import Origin
from sampan.files.tar_reader import BadArchive
from tests.kernel.build.trees import Content, copy, grow, opened, shown
from tests.unit.build.tree.archives import packed

pytestmark = pytest.mark.requires("root", "openat2")

INSIDE: dict[str, Content] = {"d": None, "d/x": b"x", "link": "d/x"}
UNPACKED: dict[str, Content] = {"d/x": b"x", "link": "d/x"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return grow(tmp_path / "source", {})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return grow(tmp_path / "target", {})


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz", "zst"])
def test_an_archive_is_unpacked(source: Path, target: Path, compression: str) -> None:
    grow(source, {"a.bin": packed(INSIDE, compression=compression).getvalue()})
    copy(source, target, "a.bin", to="/new", unpack=None)
    assert shown(target) == {f"new/{name}": content for name, content in UNPACKED.items()}
    status = (target / "new/d/x").stat()
    assert (status.st_uid, status.st_gid, status.st_mtime) == (1234, 1234, 1_000_000_000)


@pytest.mark.parametrize(
    ("unpack", "origin", "unpacked"),
    [
        (False, Origin.CONTEXT, False),
        (None, Origin.CONTEXT, True),
        (True, Origin.CONTEXT, True),
        (None, Origin.URL, False),
        (True, Origin.URL, True),
        (None, Origin.DOCUMENTS, False),
    ],
)
def test_when_archives_are_unpacked(
    source: Path, target: Path, unpack: bool | None, origin: Origin, unpacked: bool
) -> None:
    grow(source, {"a.tar": packed(INSIDE).getvalue()})
    file = "a.tar" if origin is Origin.URL else ""
    copy(source, target, "." if file else "a.tar", to="/new/", origin=origin, file=file, unpack=unpack)
    assert (target / "new/d/x").exists() == unpacked
    assert (target / "new/a.tar").exists() != unpacked


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        bytes(1024),
        gzip.compress(b"text"),
        gzip.compress(b""),
        packed({}).getvalue(),
        b"\x1f\x8b\x08broken",
    ],
)
def test_what_is_no_archive_is_copied(source: Path, target: Path, content: bytes) -> None:
    grow(source, {"a": content})
    copy(source, target, "a", to="/new", unpack=None)
    assert (target / "new").read_bytes() == content


def test_an_archive_among_others(source: Path, target: Path) -> None:
    grow(source, {"one.tar": packed(INSIDE).getvalue(), "two.txt": b"2", "link.tar": "one.tar"})
    copy(source, target, "*", to="/new/", unpack=None)
    assert shown(target / "new") == {**UNPACKED, "two.txt": b"2"}


def test_what_is_there_gives_way(source: Path, target: Path, tmp_path: Path) -> None:
    outside = grow(tmp_path / "outside", {"victim": b"mine"})
    grow(target, {"new/d/x": str(outside / "victim"), "new/link/below": b"", "new/kept": b"kept"})
    grow(source, {"a.tar": packed(INSIDE).getvalue()})
    copy(source, target, "a.tar", to="/new", unpack=None)
    assert shown(target / "new") == {**UNPACKED, "kept": b"kept"}
    assert (outside / "victim").read_bytes() == b"mine"


def test_owners_and_times(source: Path, target: Path) -> None:
    grow(target, {"etc/passwd": b"app:x:7:8::/:\n"})
    grow(source, {"a.tar": packed(INSIDE).getvalue()})
    copy(source, target, "a.tar", to="/new/er", unpack=None, chown="app", chmod="700", epoch=10**9)
    for path in (target / "new").rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (7, 8)
        assert status.st_mtime <= 1
    # As in Docker the archive's own modes stay.
    assert stat.S_IMODE((target / "new/er/d/x").stat().st_mode) == 0o644
    assert stat.S_IMODE((target / "new/er").stat().st_mode) == 0o755


def _hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        first = tarfile.TarInfo("first")
        archive.addfile(first)
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        archive.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        _hostile("../escaped"),
        _hostile("a/../../escaped"),
        _hostile("hard", tarfile.LNKTYPE, "../../outside/victim"),
        _hostile("hard", tarfile.LNKTYPE, "out/victim"),
        packed({"a": b"x" * 10_000}).getvalue()[:3000],
    ],
)
def test_hostile_archives(source: Path, target: Path, tmp_path: Path, content: bytes) -> None:
    outside = grow(tmp_path / "outside", {"victim": b"mine"})
    grow(target, {"new/out": str(outside)})
    before = shown(outside)
    grow(source, {"a.tar": content})
    with pytest.raises(BadArchive):
        copy(source, target, "a.tar", to="/new", unpack=None)
    assert shown(outside) == before
    assert not (tmp_path / "escaped").exists()
    assert (outside / "victim").stat().st_nlink == 1


def test_links_in_an_archive_lead_nowhere_outside(source: Path, target: Path, tmp_path: Path) -> None:
    outside = grow(tmp_path / "outside", {})
    files: dict[str, Content] = {"out": str(outside), "out/f": b"x", "up": "../../../..", "up/g": b"y"}
    grow(source, {"a.tar": packed(files).getvalue()})
    with pytest.raises(BadArchive):
        copy(source, target, "a.tar", to="/new", unpack=None)
    grow(target, {str(outside)[1:]: None})
    copy(source, target, "a.tar", to="/new", unpack=None)
    assert shown(outside) == {}
    assert (target / str(outside)[1:] / "f").read_bytes() == b"x"
    assert (target / "g").read_bytes() == b"y"


def test_attributes_of_links_take_nobodys_directory(source: Path, target: Path) -> None:
    """Setting them by name would change the working directory of the whole daemon."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("file", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "x" if kind == tarfile.SYMTYPE else ""
            member.pax_headers = {"SCHILY.xattr.user.note": "kept", "SCHILY.xattr.trusted.overlay.opaque": "y"}
            archive.addfile(member)
    grow(source, {"a.tar": out.getvalue()})
    with pytest.raises(BadArchive, match="of an overlay file system"):
        copy(source, target, "a.tar", to="/new", unpack=None)


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/a", ["a"]),
        ("/a/b/c", ["a/b/c"]),
        ("/there", []),
        ("/link/below", ["there/below"]),
        ("/dangling/below", ["late/made/below"]),
        ("/up/a", ["a"]),
        ("/there/../a", ["a"]),
        ("/proc/self/fd/7/a", ["proc/self/fd/7/a"]),
    ],
)
def test_working_directories(target: Path, path: str, made: list[str]) -> None:
    files: dict[str, Content] = {"there": None, "link": "/there", "dangling": "late/made", "up": "../../../.."}
    grow(target, {**files, "etc/passwd": b"app:x:7:8::/:\n"})
    with opened(target) as root:
        assert make_directory(MakeDirectory(path=path, user="app:9"), root, epoch=5 * 10**9) == bool(made)
        assert not make_directory(MakeDirectory(path=path, user="app:9"), root)
    for name in made:
        status = (target / name).stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), status.st_mtime) == (7, 9, 0o755, 5)
    assert (target / "there").stat().st_uid == 0


def test_working_directories_that_cannot_be(target: Path) -> None:
    grow(target, {"file": b"", "one": "two", "two": "one"})
    with opened(target) as root:
        for path in ("/file", "/file/a"):
            with pytest.raises(NoDirectory, match="mkdir /file: not a directory"):
                make_directory(MakeDirectory(path=path, user=""), root)
        with pytest.raises(OSError, match="symbolic links"):
            make_directory(MakeDirectory(path="/one/a", user=""), root)
        with pytest.raises(BadOwner):
            make_directory(MakeDirectory(path="/new", user="99999999999"), root)


def test_a_working_directory_of_a_user_that_nobody_knows_is_roots(target: Path) -> None:
    with opened(target) as root:
        assert make_directory(MakeDirectory(path="/a", user="nobody-here:none"), root)
    assert (target / "a").stat().st_uid == 0


def test_a_link_that_grows_for_ever(target: Path) -> None:
    grow(target, {"grow": "grow/" * 800 + "x"})
    before = len(os.listdir("/proc/self/fd"))
    with opened(target) as root, pytest.raises(OSError, match=r"symbolic links|too long"):
        make_directory(MakeDirectory(path="/grow", user=""), root)
    assert len(os.listdir("/proc/self/fd")) == before
