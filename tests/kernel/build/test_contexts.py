"""A context's files out of its archive and out of a directory: the same copies, whatever is asked for."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from sampan.build.operations import Copy
from sampan.build.tree.context import unpack_context
from sampan.build.tree.copying import apply_copy
from sampan.build.tree.source import DirectoryTree, Origin
from sampan.errors import SampanError
from tests.kernel.build.trees import opened
from tests.unit.build.tree.archives import packed

pytestmark = pytest.mark.requires("root", "openat2")


def archive() -> io.BytesIO:
    """Every kind of member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:

        def add(
            name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "", mode: int = 0o640
        ) -> None:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode, member.size = kind, link, mode, len(content)
            member.mtime, member.uid = len(name) * 10**7, 77
            if kind in (tarfile.REGTYPE, tarfile.DIRTYPE):
                member.pax_headers = {"SCHILY.xattr.user.note": name}
            if kind == tarfile.CHRTYPE:
                member.devmajor, member.devminor = 1, 3
            made.addfile(member, io.BytesIO(content))

        add("d", tarfile.DIRTYPE, mode=0o2751)
        add("d/a.txt", content=b"a" * 100_000)
        add("d/sub", tarfile.DIRTYPE, mode=0o700)
        add("d/sub/b.log", content=b"b", mode=0o4755)
        add("d/sub/hard", tarfile.LNKTYPE, link="d/a.txt")
        add("d/fifo", tarfile.FIFOTYPE, mode=0o606)
        add("d/null", tarfile.CHRTYPE)
        add("d/up", tarfile.SYMTYPE, link="../x.tar")
        add("link", tarfile.SYMTYPE, link="/d/sub")
        add("x.tar", content=packed({"in/f": b"f"}).getvalue())
        add("empty")
    out.seek(0)
    return out


Seen = dict[str, tuple[int, int, int, int, float, int, bytes | str, bytes]]


def seen(root: Path) -> Seen:
    found: Seen = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content: bytes | str = path.read_bytes() if path.is_file() and not path.is_symlink() else ""
        content = os.readlink(path) if path.is_symlink() else content
        noted = stat.S_ISREG(status.st_mode) and "user.note" in os.listxattr(path)
        note = os.getxattr(path, "user.note") if noted else b""
        owner = (status.st_uid, status.st_gid)
        links = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
        moment = status.st_mtime if not path.is_dir() or status.st_mtime < 10**9 else 0
        found[str(path.relative_to(root))] = (status.st_mode, *owner, links, moment, status.st_rdev, content, note)
    return found


@pytest.mark.parametrize(
    "members",
    [
        {"paths": ((".",),)},
        {"paths": (("d", "link"),)},
        {"paths": (("d/*", "link"),)},
        {"paths": (("d/a.txt", "d/fifo", "d/null", "d/up", "empty"),)},
        {"paths": (("*", "x.tar"),), "unpack": None},
        {"paths": (("*/*.txt", "link/b.log"),), "chown": "5:6", "chmod": "u=rwX,go="},
        {"paths": ((".",),), "excludes": ("**/*.log", "d/sub/hard")},
        {"paths": ((".",),), "excludes": ("d", "!d/sub/b.log")},
        {"paths": (("d/sub/b.log", "**/*.txt", "d/./sub"),), "parents": True},
        {"paths": (("nothing",),)},
        {"paths": (("d/a.txt/below",),)},
        {"paths": (("d/nothing",),), "parents": True},
    ],
)
@pytest.mark.parametrize("destination", ["/new/", "/"])
def test_the_same_copies(tmp_path: Path, members: dict[str, object], destination: str) -> None:
    operation = Copy(destination=destination, **members)  # type: ignore[arg-type]
    results: list[Seen | str] = []
    for place in ("into", "archive", "directory"):
        (tmp_path / place).mkdir()
    with opened(tmp_path / "into") as into, unpack_context(archive(), into) as context:
        tree = context.tree(operation.paths[0], operation.excludes, operation.parents)
        for name in ("archive", "directory"):
            source = tree if name == "archive" else DirectoryTree(tree.directory(), "context", Origin.CONTEXT)
            with opened(tmp_path / name) as target:
                try:
                    apply_copy(operation, [source], target, epoch=10**17)
                    results.append(seen(tmp_path / name))
                except SampanError as error:
                    results.append(str(error))
    assert results[0] == results[1]
    assert results[0]


def test_copies_out_of_an_archive_unpack_nothing(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "target").mkdir()
    with opened(tmp_path / "into") as into, unpack_context(archive(), into) as context:
        with opened(tmp_path / "target") as target:
            apply_copy(Copy(paths=((".",),), destination="/"), [context.tree()], target)
        assert list((tmp_path / "into/tree").iterdir()) == []
