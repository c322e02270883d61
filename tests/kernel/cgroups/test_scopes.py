"""A scope's start as its waiter sees it: by the signal, by the group where no signal comes, by its failure."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sampan.cgroups import scopes
from sampan.cgroups.dbus import Manager
from sampan.cgroups.hierarchy import detect
from tests.requires import requires
from tests.unit.cgroups.test_dbus import message

pytestmark = requires("root", "cgroup_v2")

REPLY = message(2, [(5, ("u", 1))], "o", "/job/1")


def removed(result: str) -> bytes:
    return message(4, [(3, ("s", "JobRemoved"))], "uoss", 1, "/job/1", "x.scope", result)


@pytest.fixture
def holder() -> Iterator[int]:
    child = subprocess.Popen(["sleep", "1000"])
    yield child.pid
    child.kill()
    child.wait()


@pytest.fixture
def group() -> Iterator[Path]:
    """Where systemd would move the holder."""
    found = Path(detect().v2) / f"sampan-test-{os.getpid()}" / "x.scope"
    found.mkdir(parents=True)
    yield found
    for pid in (found / "cgroup.procs").read_text().split():
        (found.parent.parent / "cgroup.procs").write_text(pid)
    found.rmdir()
    found.parent.rmdir()


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes, Callable[[], object]], None]]:
    """In systemd's place one that greets, hears a call, does something and says something; then it is silent."""
    ended, threads = threading.Event(), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "private"))
    listener.listen()

    def serve(words: bytes, does: Callable[[], object]) -> None:
        with listener, listener.accept()[0] as client:
            client.recv(64)
            client.sendall(b"OK 1234\r\n")
            client.recv(7, socket.MSG_WAITALL)
            client.recv(65536)
            does()
            client.sendall(words)
            ended.wait(30)

    def start(words: bytes, does: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=serve, args=(words, does)))
        threads[0].start()

    monkeypatch.setattr(scopes, "Manager", partial(Manager, path=str(tmp_path / "private")))
    monkeypatch.setattr(scopes, "_SILENCE", 0.05)
    yield start
    ended.set()
    for thread in threads:
        thread.join()


def nothing() -> None:
    pass


def test_the_signal_is_enough(says: Callable[[bytes, Callable[[], object]], None], holder: int) -> None:
    says(removed("done") + REPLY, nothing)
    scopes.start("x.scope", [], holder)


def test_where_no_signal_comes_the_group_is(
    says: Callable[[bytes, Callable[[], object]], None], holder: int, group: Path
) -> None:
    says(REPLY, lambda: (group / "cgroup.procs").write_text(str(holder)))
    scopes.start("x.scope", [], holder)


def test_a_job_that_fails(says: Callable[[bytes, Callable[[], object]], None], holder: int) -> None:
    says(REPLY + removed("failed"), nothing)
    with pytest.raises(OSError, match=r"systemd did not start x\.scope: failed"):
        scopes.start("x.scope", [], holder)


def test_neither(
    says: Callable[[bytes, Callable[[], object]], None], holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "_SECONDS", 0.3)
    says(REPLY, nothing)
    with pytest.raises(TimeoutError, match=r"systemd did not start x\.scope in 0 s"):
        scopes.start("x.scope", [], holder)
