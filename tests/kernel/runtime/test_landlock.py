"""Landlock by itself, and around a follower, where the kernel has it."""

import os
from pathlib import Path

import pytest

from sampan.kernel.landlock import Access, landlock_restrict, landlock_version
from sampan.kernel.process import Prctl, prctl

pytestmark = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")


def in_a_child(allowed: Path, attempts: list[tuple[Path, int]]) -> list[bool]:
    """Which of the opens succeed in a process that may only read below `allowed`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prctl(Prctl.SET_NO_NEW_PRIVS, 1)
            place = os.open(allowed, os.O_PATH | os.O_DIRECTORY)
            landlock_restrict([(place, Access.READ_FILE | Access.READ_DIR)], landlock_version())
            for path, flags in attempts:
                try:
                    os.close(os.open(path, flags, 0o600))
                    os.write(writer, b"y")
                except OSError:
                    os.write(writer, b"n")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    answers = os.read(reader, 100)
    os.close(reader)
    return [answer == ord("y") for answer in answers]


def test_what_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("x")
    (tmp_path / "beside").write_text("x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "beside")
    found = in_a_child(
        tmp_path / "in",
        [
            (tmp_path / "in" / "file", os.O_RDONLY),
            (tmp_path / "in", os.O_RDONLY | os.O_DIRECTORY),
            (tmp_path / "in" / "file", os.O_WRONLY),
            (tmp_path / "in" / "new", os.O_WRONLY | os.O_CREAT),
            (tmp_path / "beside", os.O_RDONLY),
            (tmp_path / "in" / "link", os.O_RDONLY),
            (Path("/etc/passwd"), os.O_RDONLY),
            (Path("/proc/self/mem"), os.O_RDONLY),
        ],
    )
    assert found == [True, True, False, False, False, False, False, False]
