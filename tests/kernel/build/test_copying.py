"""COPY on real files: where what goes, and what it is like there; as BuildKit has it."""

import os
import socket
import stat
from pathlib import Path

import pytest

from sampan.build.tree.directory import NoDirectory
from sampan.build.tree.modes import BadMode
from sampan.build.tree.owners import BadOwner
from sampan.build.tree.selection import BadSelection
from sampan.build.tree.source import Origin, SourceMissing
from sampan.build.tree.writing import InTheWay
from tests.kernel.build.trees import Content, copy, grow, shown

pytestmark = pytest.mark.requires("root", "openat2")

FILES: dict[str, Content] = {
    "a.txt": b"a",
    "b.txt": b"b",
    "c.log": b"c",
    "dir/x.txt": b"x",
    "dir/sub/y.log": b"y",
    "dir/empty": None,
    "link.txt": "a.txt",
    "linkdir": "dir",
    "rooted": "/dir/x.txt",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return grow(tmp_path / "source", FILES)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return grow(
        tmp_path / "target",
        {"etc/passwd": b"root:x:0:0::/root:/bin/sh\napp:x:7:8::/:/bin/sh\n", "etc/group": b"web:x:9:\n"},
    )


WITHIN: dict[str, Content] = {"x.txt": b"x", "sub/y.log": b"y", "empty": None}


@pytest.mark.parametrize(
    ("paths", "to", "made"),
    [
        (["a.txt"], "/", {"a.txt": b"a"}),
        (["a.txt"], "/new", {"new": b"a"}),
        (["a.txt"], "/new/", {"new/a.txt": b"a"}),
        (["/a.txt"], "/deep/er/new", {"deep/er/new": b"a"}),
        (["./../a.txt"], "/new", {"new": b"a"}),
        (["dir"], "/", WITHIN),
        (["dir/"], "/new", {f"new/{name}": content for name, content in WITHIN.items()}),
        (["dir/."], "/new/", {f"new/{name}": content for name, content in WITHIN.items()}),
        (["linkdir"], "/new", {f"new/{name}": content for name, content in WITHIN.items()}),
        (["linkdir/x.txt"], "/", {"x.txt": b"x"}),
        (["link.txt"], "/", {"link.txt": b"a"}),
        (["rooted"], "/", {"rooted": b"x"}),
        (["*.txt"], "/new/", {"new/a.txt": b"a", "new/b.txt": b"b", "new/link.txt": b"a"}),
        (["[ab].txt", "c.*"], "/new/", {"new/a.txt": b"a", "new/b.txt": b"b", "new/c.log": b"c"}),
        (["d?r/*.txt"], "/new/", {"new/x.txt": b"x"}),
        (["*/sub"], "/new", {"new/y.log": b"y"}),
        (["nothing*"], "/new/", {}),
        (["dir"], "/etc", {f"etc/{name}": content for name, content in WITHIN.items()}),
    ],
)
def test_what_goes_where(source: Path, target: Path, paths: list[str], to: str, made: dict[str, Content]) -> None:
    before = shown(target)
    copy(source, target, *paths, to=to)
    assert shown(target) == {**before, **made}


def test_everything(source: Path, target: Path) -> None:
    copy(source, target, ".", to="/new")
    assert shown(target / "new") == shown(source)


@pytest.mark.parametrize(
    ("excludes", "left"),
    [
        (["*.txt"], {"c.log", "dir/x.txt", "dir/sub/y.log", "dir/empty", "linkdir", "rooted"}),
        (["**/*.txt", "linkdir", "rooted"], {"c.log", "dir/sub/y.log", "dir/empty"}),
        (["dir", "!dir/sub/y.log", "*.*", "rooted"], {"dir/sub/y.log", "linkdir"}),
        (["*", "!dir/*.txt"], {"dir/x.txt"}),
        (["*"], set()),
    ],
)
def test_excludes(source: Path, target: Path, excludes: list[str], left: set[str]) -> None:
    copy(source, target, ".", to="/new", excludes=tuple(excludes))
    assert set(shown(target / "new")) == left


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("dir/x.txt", {"dir/x.txt"}),
        ("dir/./x.txt", {"x.txt"}),
        ("./dir/./sub/y.log", {"sub/y.log"}),
        ("**/*.log", {"c.log", "dir/sub/y.log"}),
        ("dir/*", {"dir/x.txt", "dir/sub/y.log", "dir/empty"}),
        ("*/./sub", {"sub/y.log"}),
        ("linkdir/./*.txt", {"x.txt"}),
    ],
)
def test_parents(source: Path, target: Path, path: str, made: set[str]) -> None:
    os.chmod(source / "dir", 0o711)
    copy(source, target, path, to="/new", parents=True)
    assert set(shown(target / "new")) == made
    if (target / "new/dir").exists():
        assert stat.S_IMODE((target / "new/dir").stat().st_mode) == 0o711


def test_parents_that_are_missing(source: Path, target: Path) -> None:
    with pytest.raises(SourceMissing):
        copy(source, target, "dir/./nothing", to="/new", parents=True)
    copy(source, target, "dir/./nothing*", to="/new", parents=True)


def test_attributes_are_kept(source: Path, target: Path) -> None:
    given = {
        "dir/sub/y.log": (0o604, 78),
        "dir/sub": (0o700, 56),
        "dir": (0o2711, 34),
        "a.txt": (0o4750, 12),
        ".": (0o755, 99),
    }
    for name, (mode, mtime) in given.items():
        os.chown(source / name, 33, 44)
        os.chmod(source / name, mode)
        os.setxattr(source / name, b"user.note", name.encode())
        os.utime(source / name, (mtime, mtime))
    copy(source, target, ".", to="/new")
    for name in given.keys() - {"."}:
        status = (target / "new" / name).stat()
        assert (status.st_uid, status.st_gid) == (33, 44)
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == given[name]
        assert os.getxattr(target / "new" / name, b"user.note") == name.encode()
    # The destination itself is no copy of the source, but for its time.
    made = (target / "new").stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode), made.st_mtime) == (0, 0o755, 99)


def test_a_directory_that_is_there_is_described_anew_below_the_destination_only(source: Path, target: Path) -> None:
    grow(target, {"new/dir/mine": b"mine"})
    os.chmod(target / "new", 0o700)
    os.chmod(target / "new/dir", 0o700)
    os.chmod(source, 0o711)
    os.chmod(source / "dir", 0o711)
    copy(source, target, ".", to="/new")
    assert stat.S_IMODE((target / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "new/dir").stat().st_mode) == 0o711
    assert (target / "new/dir/mine").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("7", (7, 7)),
        ("7:9", (7, 9)),
        ("app", (7, 8)),
        ("app:web", (7, 9)),
        ("3:web", (3, 9)),
        ("root", (0, 0)),
        ("app:0", (7, 0)),
    ],
)
def test_chown(source: Path, target: Path, text: str, owner: tuple[int, int]) -> None:
    copy(source, target, "dir", "link.txt", "linkdir", to="/one/two/", chown=text)
    for name in ("one", "one/two", "one/two/x.txt", "one/two/sub", "one/two/link.txt"):
        status = (target / name).lstat()
        assert (status.st_uid, status.st_gid) == owner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "can't find uid for user nobody: no such user: nobody"),
        ("app:none", "can't find gid for group none: no such group: none"),
        ("99999999999", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range"),
    ],
)
def test_chown_to_nobody(source: Path, target: Path, text: str, message: str) -> None:
    before = shown(target)
    with pytest.raises(BadOwner) as caught:
        copy(source, target, "a.txt", to="/new", chown=text)
    assert message in str(caught.value)
    assert shown(target) == before


def test_the_passwd_file_is_the_targets_own(source: Path, target: Path, tmp_path: Path) -> None:
    """A link to a file outside is the target's own file of that name, or none (corpus: names looked up on the host)."""
    (target / "etc/passwd").unlink()
    grow(tmp_path / "outside", {"passwd": b"app:x:66:66::/:\n"})
    (target / "etc/passwd").symlink_to(tmp_path / "outside/passwd")
    with pytest.raises(BadOwner):
        copy(source, target, "a.txt", to="/new", chown="app")
    (target / "etc/passwd").unlink()
    os.mkfifo(target / "etc/passwd")
    with pytest.raises(BadOwner):
        copy(source, target, "a.txt", to="/new", chown="app")


@pytest.mark.parametrize(
    ("text", "file", "directory"),
    [
        ("600", 0o600, 0o600),
        ("04755", 0o4755, 0o4755),
        ("u=rwX,go=rX", 0o644, 0o755),
        ("+x", 0o755, 0o755),
        ("go-rwx", 0o600, 0o700),
        ("a=r,u+w", 0o644, 0o644),
        ("g=u", 0o664, 0o775),
        ("u+s", 0o4644, 0o4755),
        ("+t", 0o1644, 0o1755),
        ("o+t", 0o644, 0o755),
        ("ug+s,o-r", 0o6640, 0o6751),
        ("g-r+w", 0o624, 0o735),
        ("o=", 0o640, 0o750),
    ],
)
def test_chmod(source: Path, target: Path, text: str, file: int, directory: int) -> None:
    os.chmod(source / "dir/x.txt", 0o644)
    os.chmod(source / "dir/sub", 0o755)
    copy(source, target, "dir", to="/new/", chmod=text)
    assert stat.S_IMODE((target / "new/x.txt").stat().st_mode) == file
    assert stat.S_IMODE((target / "new/sub").stat().st_mode) == directory


def test_new_directories_on_the_way(source: Path, target: Path) -> None:
    """They get what Docker's umask leaves of `--chmod`."""
    for text, mode in (("600", 0o600), ("4777", 0o755), ("u=rw", 0o755)):
        copy(source, target, "a.txt", to=f"/{text}/", chmod=text)
        assert stat.S_IMODE((target / text).stat().st_mode) == mode


@pytest.mark.parametrize("text", ["8", "0888", "17777", "rwx", "u", "u=q", "u=rg", ",", "-1", "u+x,", "77 7"])
def test_a_mode_that_is_none(source: Path, target: Path, text: str) -> None:
    with pytest.raises(BadMode, match="invalid chmod parameter"):
        copy(source, target, "dir", to="/new/", chmod=text)


def test_files_give_way_and_links_are_not_followed_below_the_destination(
    source: Path, target: Path, tmp_path: Path
) -> None:
    outside = grow(tmp_path / "outside", {"victim": b"mine"})
    grow(target, {"new/x.txt": str(outside / "victim"), "new/sub/y.log": b"old", "victim": b"mine"})
    os.link(target / "new/sub/y.log", target / "second")
    copy(source, target, "dir", to="/new")
    assert (outside / "victim").read_bytes() == b"mine"
    assert shown(target / "new") == WITHIN
    assert (target / "second").read_bytes() == b"old"


def test_a_link_at_the_destination_is_followed_inside_the_root(source: Path, target: Path) -> None:
    grow(
        target,
        {
            "data": None,
            "app": "/data",
            "rel": "app/../data",
            "dangling": "/made/late",
            "file": "/data/file",
            "new": "n1",
        },
    )
    copy(source, target, "a.txt", to="/app/")
    copy(source, target, "b.txt", to="/rel/b")
    copy(source, target, "dir", to="/dangling")
    copy(source, target, "c.log", to="/file")
    copy(source, target, "c.log", to="/new")
    assert shown(target / "data") == {"a.txt": b"a", "b": b"b", "file": b"c"}
    assert shown(target / "made/late") == WITHIN
    assert os.readlink(target / "file") == "/data/file"
    assert (target / "n1").read_bytes() == b"c"


@pytest.mark.parametrize(
    ("path", "to", "error", "message"),
    [
        ("dir", "/file", InTheWay, "cannot copy to non-directory: /file"),
        ("dir", "/file/below", NoDirectory, "mkdir /file: not a directory"),
        ("a.txt", "/file/", NoDirectory, "mkdir /file: not a directory"),
        ("dir", "/full", InTheWay, "cannot replace to directory /full/x.txt with file"),
        ("dir", "/linked", InTheWay, "cannot copy to non-directory: /linked/sub"),
        ("nothing", "/new", SourceMissing, "stat nothing: file does not exist"),
        ("a.txt/below", "/new", SourceMissing, "stat a.txt/below: file does not exist"),
        ("[", "/new", BadSelection, "syntax error in pattern"),
    ],
)
def test_what_does_not_fit(
    source: Path, target: Path, path: str, to: str, error: type[Exception], message: str
) -> None:
    grow(target, {"file": b"", "full/x.txt": None, "linked/sub": "/etc"})
    with pytest.raises(error) as caught:
        copy(source, target, path, to=to)
    assert message in str(caught.value)


def test_links_in_a_circle(source: Path, target: Path) -> None:
    grow(source, {"one": "two", "two": "one"})
    grow(target, {"one": "two", "two": "one"})
    for path, to in (("one", "/new"), ("a.txt", "/one/"), ("a.txt", "/one"), ("dir", "/one")):
        with pytest.raises(Exception, match=r"(?i)too many levels of symbolic links"):
            copy(source, target, path, to=to)


def test_hard_links_stay_hard_links(source: Path, target: Path) -> None:
    os.link(source / "dir/x.txt", source / "dir/sub/same")
    copy(source, target, "dir", to="/new")
    assert (target / "new/x.txt").stat().st_ino == (target / "new/sub/same").stat().st_ino


def test_kinds(source: Path, target: Path) -> None:
    os.mkfifo(source / "dir/fifo", 0o640)
    os.mknod(source / "dir/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "dir/socket"))
    copy(source, target, "dir", to="/new")
    assert stat.S_ISFIFO((target / "new/fifo").lstat().st_mode)
    assert (target / "new/null").lstat().st_rdev == os.makedev(1, 3)
    assert (target / "new/socket").read_bytes() == b""
    copy(source, target, "dir/fifo", "dir/null", to="/tops/")
    assert stat.S_ISFIFO((target / "tops/fifo").lstat().st_mode)


def test_holes_stay_holes(source: Path, target: Path) -> None:
    with open(source / "dir/sparse", "wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 30)
        file.write(b"middle")
    copy(source, target, "dir", to="/new")
    status = (target / "new/sparse").stat()
    assert status.st_size == 1 << 40
    assert status.st_blocks < 100
    with open(target / "new/sparse", "rb") as file:
        file.seek(1 << 30)
        assert file.read(6) == b"middle"


def test_an_epoch_bounds_every_time(source: Path, target: Path) -> None:
    os.utime(source / "a.txt", (5, 5))
    copy(source, target, ".", to="/one/two", epoch=1000 * 10**9)
    paths = [target, target / "one", *(target / "one").rglob("*")]
    assert {path.lstat().st_mtime for path in paths} == {5, 1000}
    assert (target / "one/two/a.txt").stat().st_mtime == 5


def test_one_file_that_is_a_tree(source: Path, target: Path) -> None:
    grow(source, {"name*": b"content"})
    copy(source, target, ".", to="/new", origin=Origin.URL, file="name*")
    copy(source, target, ".", to="/dir/", origin=Origin.URL, file="name*", parents=True)
    assert (target / "new").read_bytes() == b"content"
    assert (target / "dir/name*").read_bytes() == b"content"


def test_names_that_are_no_text(source: Path, target: Path) -> None:
    name = os.fsdecode(b"na\xefve\xff")
    grow(source, {f"dir/{name}": b"x"})
    copy(source, target, "dir", to="/new")
    copy(source, target, f"dir/{name}", to="/")
    assert (target / "new" / name).read_bytes() == (target / name).read_bytes() == b"x"


def test_no_descriptor_stays(source: Path, target: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    copy(source, target, ".", "dir", "*.txt", to="/new/")
    for path, to in (("nothing", "/x"), ("dir", "/etc/passwd"), ("a.txt", "/etc/passwd/")):
        with pytest.raises(Exception, match=r"."):
            copy(source, target, path, to=to)
    assert len(os.listdir("/proc/self/fd")) == before
