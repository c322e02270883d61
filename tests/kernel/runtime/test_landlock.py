"""Landlock by itself, around a follower and around the shipper, where the kernel has it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.files.atomic import write_atomic
from sampan.kernel.landlock import Access, landlock_restrict, landlock_version
from sampan.kernel.process import Prctl, prctl
from sampan.logs.shipping.shipper import confine

pytestmark = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")


def read_only(allowed: Path) -> None:
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    place = os.open(allowed, os.O_PATH | os.O_DIRECTORY)
    landlock_restrict([(place, Access.READ_FILE | Access.READ_DIR)], landlock_version())


def in_a_child(confine: Callable[[], None], attempts: list[Callable[[], object]]) -> list[bool]:
    """Which attempts succeed in a process that is confined."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            confine()
            for attempt in attempts:
                try:
                    attempt()
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


def opening(path: Path, flags: int) -> Callable[[], object]:
    return lambda: os.close(os.open(path, flags, 0o600))


def test_what_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("x")
    (tmp_path / "beside").write_text("x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "beside")
    found = in_a_child(
        lambda: read_only(tmp_path / "in"),
        [
            opening(tmp_path / "in" / "file", os.O_RDONLY),
            opening(tmp_path / "in", os.O_RDONLY | os.O_DIRECTORY),
            opening(tmp_path / "in" / "file", os.O_WRONLY),
            opening(tmp_path / "in" / "new", os.O_WRONLY | os.O_CREAT),
            opening(tmp_path / "beside", os.O_RDONLY),
            opening(tmp_path / "in" / "link", os.O_RDONLY),
            opening(Path("/etc/passwd"), os.O_RDONLY),
            opening(Path("/proc/self/mem"), os.O_RDONLY),
        ],
    )
    assert found == [True, True, False, False, False, False, False, False]


def test_the_shipper_writes_below_the_logs_alone_and_executes_nothing(tmp_path: Path) -> None:
    logs, beside = tmp_path / "logs", tmp_path / "beside"
    (logs / "one").mkdir(parents=True)
    beside.write_text("x")
    position = logs / "one" / "log.shipped"
    found = in_a_child(
        lambda: confine(logs),
        [
            lambda: write_atomic(position, b"1", mode=0o640, durable=False),
            lambda: write_atomic(position, b"2", mode=0o640, durable=False),
            opening(beside, os.O_RDONLY),
            opening(Path("/etc/passwd"), os.O_RDONLY),
            opening(beside, os.O_WRONLY),
            opening(tmp_path / "new", os.O_WRONLY | os.O_CREAT),
            lambda: os.unlink(beside),
            lambda: os.mkdir(logs / "two"),
            lambda: os.execv("/bin/true", ["true"]),
        ],
    )
    assert found == [True, True, True, True, False, False, False, False, False]
    assert position.read_bytes() == b"2"


def test_the_shipper_gives_plugins_fifos(tmp_path: Path) -> None:
    logs, fifos = tmp_path / "logs", tmp_path / "fifos"
    logs.mkdir()
    fifos.mkdir()
    found = in_a_child(
        lambda: confine(logs, [fifos, tmp_path / "missing"]),
        [
            lambda: os.mkfifo(fifos / "one"),
            opening(fifos / "one", os.O_RDWR),
            lambda: os.unlink(fifos / "one"),
            opening(fifos / "file", os.O_WRONLY | os.O_CREAT),
            lambda: os.mkfifo(logs / "one"),
        ],
    )
    assert found == [True, True, True, False, False]
