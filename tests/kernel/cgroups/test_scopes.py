"""A scope's start as its waiter sees it: by the signal, by the group where no signal comes, by its failure."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sampan.cgroups import ending, scopes
from sampan.cgroups.dbus import Manager
from sampan.cgroups.groupfile import UNIFIED
from sampan.cgroups.hierarchy import detect
from tests.requires import requires
from tests.unit.cgroups.test_dbus import message

pytestmark = requires("root", "cgroup_v2")


def reply(serial: int, job: str) -> bytes:
    return message(2, [(5, ("u", serial))], "o", job)


def refusal(serial: int, name: str) -> bytes:
    return message(3, [(5, ("u", serial)), (4, ("s", name))], "s", "no")


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
    if found.exists():
        for pid in (found / "cgroup.procs").read_text().split():
            (found.parent.parent / "cgroup.procs").write_text(pid)
        found.rmdir()
    found.parent.rmdir()


Says = Callable[..., list[bytes]]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Says]:
    """In systemd's place one that greets, does something at the first call, and says its words one after each call.

    What it was asked is in the list. After its last word it is silent.
    """
    ended, threads = threading.Event(), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "private"))
    listener.listen()

    def serve(heard: list[bytes], words: tuple[bytes, ...], does: Callable[[], object]) -> None:
        with listener:
            client = listener.accept()[0]
        # Who comes later finds nobody.
        with client:
            client.recv(64)
            client.sendall(b"OK 1234\r\n")
            for word in words:
                heard.append(client.recv(65536))
                does()
                client.sendall(word)
            ended.wait(30)

    def start(*words: bytes, does: Callable[[], object] = lambda: None) -> list[bytes]:
        heard: list[bytes] = []
        threads.append(threading.Thread(target=serve, args=(heard, words, does)))
        threads[0].start()
        return heard

    monkeypatch.setattr(scopes, "Manager", partial(Manager, path=str(tmp_path / "private")))
    monkeypatch.setattr(scopes, "_SILENCE", 0.05)
    yield start
    ended.set()
    for thread in threads:
        thread.join()


def test_the_signal_is_enough(says: Says, holder: int) -> None:
    says(removed("done") + reply(1, "/job/1"))
    scopes.start("x.scope", [], holder)


def test_where_no_signal_comes_the_group_is(says: Says, holder: int, group: Path) -> None:
    says(reply(1, "/job/1"), does=lambda: (group / "cgroup.procs").write_text(str(holder)))
    scopes.start("x.scope", [], holder)


def test_a_job_that_fails(says: Says, holder: int) -> None:
    says(reply(1, "/job/1") + removed("failed"))
    with pytest.raises(OSError, match=r"systemd did not start x\.scope: failed"):
        scopes.start("x.scope", [], holder)


def test_neither(says: Says, holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "_SECONDS", 0.3)
    says(reply(1, "/job/1"))
    with pytest.raises(TimeoutError, match=r"systemd did not start x\.scope in 0 s"):
        scopes.start("x.scope", [], holder)


def test_one_that_systemd_takes_for_running_is_stopped_first(says: Says, holder: int) -> None:
    exists = refusal(1, "org.freedesktop.systemd1.UnitExists")
    heard = says(
        exists,
        reply(2, "/job/7"),
        refusal(3, "org.freedesktop.systemd1.UnitExists"),
        reply(4, "/job/1") + removed("done"),
    )
    scopes.start("x.scope", [], holder)
    assert [next(verb for verb in (b"StartTransientUnit", b"StopUnit") if verb in asked) for asked in heard] == [
        b"StartTransientUnit",
        b"StopUnit",
        b"StartTransientUnit",
        b"StartTransientUnit",
    ]


def test_systemd_is_told_before_a_scope_s_group_is_removed(says: Says, group: Path) -> None:
    heard = says(reply(1, "/job/1"), does=lambda: seen.append(group.is_dir()))
    seen: list[bool] = []
    ending.remove({UNIFIED: str(group)})
    assert (b"StopUnit" in heard[0], b"x.scope" in heard[0], seen) == (True, True, [True])
    assert not group.exists()
    # Without anybody to tell it is removed all the same.
    group.mkdir()
    ending.remove({UNIFIED: str(group)})
    assert not group.exists()
