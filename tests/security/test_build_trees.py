"""Hostile archives, contexts and trees against COPY and ADD: nothing outside is read or written, whatever they say."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.operations import Copy, GitSource
from sampan.build.tree.context import unpack_context
from sampan.build.tree.copying import CopyFailed, apply_copy
from sampan.build.tree.git import Access, BadGit, git_commit
from sampan.build.tree.git_program import GitProgram
from sampan.build.tree.remote import file_name
from sampan.build.tree.source import DirectoryTree
from sampan.errors import SampanError
from sampan.registry.settings import Proxies
from tests.kernel.build.trees import copy, grow, opened, shown
from tests.requires import requires
from tests.security.hostile_tars import Case, cases
from tests.waiting import within

pytestmark = requires("root")

CANARY = Path("/tmp") / f"sampan-build-canary-{os.getpid()}"
MATRIX = cases(os.fsencode(CANARY))


def state(directory: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted([directory, *directory.rglob("*")]):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found.append((path, status.st_ino, status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, data))
    return found


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory outside whose content and metadata must not change."""
    grow(CANARY, {"file": b"canary"})
    before = state(CANARY)
    try:
        yield CANARY
        assert state(CANARY) == before, "something outside the root was touched"
    finally:
        for path in CANARY.iterdir():
            path.unlink()
        CANARY.rmdir()


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
@within(10)
def test_a_context(case: Case, outside: Path, tmp_path: Path) -> None:
    """Refused, or copied and unpacked inside; of the canary nothing is to be seen."""
    for place in ("into", "copied", "unpacked"):
        (tmp_path / place).mkdir()
    with opened(tmp_path / "into") as into, opened(tmp_path / "copied") as target:
        try:
            context = unpack_context(io.BytesIO(case.archive), into)
        except SampanError:
            return
        everything = Copy(paths=((".",),), destination="/")
        with context, opened(tmp_path / "unpacked") as other:
            try:
                apply_copy(everything, [context.tree()], target)
            except CopyFailed:
                assert case.stored is None  # what only the kernel can tell: a capability that is none
                return
            apply_copy(everything, [DirectoryTree(context.tree().directory(), "test")], other)
    copied, unpacked = shown(tmp_path / "copied"), shown(tmp_path / "unpacked")
    assert copied == unpacked
    assert b"canary" not in copied.values()


@pytest.mark.parametrize("case", MATRIX, ids=[case.name for case in MATRIX])
def test_an_archive_that_is_added(case: Case, outside: Path, tmp_path: Path) -> None:
    source = grow(tmp_path / "source", {"archive": case.archive})
    target = grow(tmp_path / "target", {"beside": b"beside", "new": None})
    try:
        copy(source, target, "archive", to="/new", unpack=None)
    except SampanError:
        pass
    assert (target / "beside").read_bytes() == b"beside"
    assert b"canary" not in shown(target).values()


def test_sec_cve_2026_44517_links_of_a_context(outside: Path, tmp_path: Path) -> None:
    """The Dockerfile, the ignore file and what is copied are read inside the context, whatever links say."""
    files = {"Dockerfile": f"{CANARY}/file", ".dockerignore": f"{CANARY}/file", "file": f"../../../..{CANARY}/file"}
    source = grow(tmp_path / "source", files)
    assert (source / "Dockerfile").read_bytes() == b"canary"  # followed by whoever reads paths
    for path in files:
        with pytest.raises(SampanError):
            copy(source, tmp_path / "target", path, to="/new")


@pytest.mark.parametrize("name", ["x", "dir/../x", "/proc/self/root/x", "/proc/self/cwd/x", "/dev/fd/3/x"])
def test_sec_cve_2024_21626_magic_links(outside: Path, tmp_path: Path, name: str) -> None:
    """`/proc` in a tree is a directory of the tree; no descriptor of the daemon is reached by it."""
    grow(tmp_path / "source", {"f": b"f"})
    target = grow(tmp_path / "target", {"fds": "/proc/self/fd", "me": f"/proc/{os.getpid()}/root"})
    for link in ("fds/7", "me"):
        copy(tmp_path / "source", target, "f", to=f"/{link}/{name.strip('/')}")
    assert (target / f"proc/{os.getpid()}/root").is_dir()
    assert not (target / "proc/self/fd/7").is_symlink()


@pytest.mark.parametrize("reference", ["--upload-pack=touch /tmp/x", "-x"])
def test_sec_cve_2019_13139(tmp_path: Path, reference: str) -> None:
    access = Access(GitProgram("/nowhere", Proxies()))
    with opened(tmp_path) as place, pytest.raises(BadGit, match="invalid git reference"):
        git_commit(GitSource(repository="https://example.com/x.git", reference=reference), access, place)


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/cron.d/x", "..", ".", "a/../../b", "\\..\\x", "x\0y"])
def test_sec_cve_2026_33747_names_that_servers_give(name: str) -> None:
    found = file_name("http://h/", {"Content-Disposition": f'attachment; filename="{name}"'})
    assert found
    assert found not in (".", "..")
    assert "/" not in found
    assert "\0" not in found
