"""Who manages the control groups: as Docker chooses, and what becomes of a systemd that does not answer."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from sampan.cgroups import scopes
from sampan.cgroups.dbus import Manager
from sampan.cgroups.hierarchy import Hierarchy
from sampan.daemon import control_groups
from sampan.daemon.control_groups import managed_by_systemd, realtime_budget
from sampan.errors import InvalidParameter
from tests.unit.cgroups.test_dbus import message

ANSWER = message(2, [(5, ("u", 1))], "o", "/org/freedesktop/systemd1/unit/system_2eslice")


@pytest.fixture
def v2(tmp_path: Path) -> Hierarchy:
    """The whole of a v2 tree: its root has no cgroup.type."""
    (tmp_path / "v2").mkdir()
    return Hierarchy({}, str(tmp_path / "v2"))


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], list[bytes]]]:
    """A machine that was booted with systemd, which says those bytes to the first question; what it was asked is in the list."""
    monkeypatch.setattr(control_groups, "_RUNS", str(tmp_path))
    monkeypatch.setattr(scopes, "Manager", partial(Manager, path=str(tmp_path / "private")))
    monkeypatch.setattr(scopes, "_ASKED", 0.2)
    with ExitStack() as stack:

        def start(answer: bytes) -> list[bytes]:
            heard: list[bytes] = []
            listener = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
            listener.settimeout(10)
            listener.bind(str(tmp_path / "private"))
            listener.listen()

            def serve() -> None:
                with listener.accept()[0] as client:
                    client.settimeout(10)
                    client.recv(64)
                    client.sendall(b"OK 1234\r\n")
                    heard.append(client.recv(4096))
                    client.sendall(answer)
                    client.recv(64)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            return heard

        yield start


def test_taken_by_itself_on_v2_alone(systemd: Callable[[bytes], list[bytes]], v2: Hierarchy) -> None:
    heard = systemd(ANSWER)
    assert managed_by_systemd("", v2, "")
    assert b"LoadUnit" in heard[0]


def test_taken_on_v1_where_it_is_asked_for(systemd: Callable[[bytes], list[bytes]], v2: Hierarchy) -> None:
    systemd(ANSWER)
    assert managed_by_systemd("systemd", Hierarchy({"cpu": "/cpu"}), "")


@pytest.mark.parametrize("v1", [{}, {"cpu": "/cpu"}])
def test_not_asked(v1: dict[str, str], v2: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens here: a question would fail."""
    monkeypatch.setattr(control_groups, "_RUNS", str(tmp_path))
    assert not managed_by_systemd("cgroupfs", Hierarchy(v1, v2.v2), "/not/a/slice")
    assert not managed_by_systemd("", Hierarchy({"cpu": "/cpu"}, v2.v2), "")
    assert not managed_by_systemd("", Hierarchy(v1), "")


def test_nobody_in_a_part_of_the_tree(systemd: Callable[[bytes], list[bytes]], v2: Hierarchy) -> None:
    (Path(v2.v2) / "cgroup.type").touch()
    assert not managed_by_systemd("", v2, "")
    with pytest.raises(InvalidParameter, match="only a part of the tree"):
        managed_by_systemd("systemd", v2, "")


def test_another_init(v2: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "_RUNS", str(tmp_path / "nothing"))
    assert not managed_by_systemd("", v2, "")
    with pytest.raises(InvalidParameter, match="systemd is not the manager of this machine"):
        managed_by_systemd("systemd", v2, "")


def test_silence(systemd: Callable[[bytes], list[bytes]], v2: Hierarchy, caplog: pytest.LogCaptureFixture) -> None:
    systemd(b"")
    with caplog.at_level(logging.WARNING):
        assert not managed_by_systemd("", v2, "")
    assert "native.cgroupdriver=cgroupfs: systemd does not answer: timed out" in caplog.text


def test_nobody_listens_who_was_asked_for(v2: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "_RUNS", str(tmp_path))
    monkeypatch.setattr(scopes, "Manager", partial(Manager, path=str(tmp_path / "private")))
    with pytest.raises(InvalidParameter, match="systemd does not answer: No such file"):
        managed_by_systemd("systemd", v2, "")


def test_the_daemon_s_parent_is_a_slice(systemd: Callable[[bytes], list[bytes]], v2: Hierarchy) -> None:
    systemd(ANSWER)
    with pytest.raises(InvalidParameter, match="should be a valid slice"):
        managed_by_systemd("", v2, "/not/a/slice")


def test_the_real_time_budget(v2: Hierarchy, tmp_path: Path) -> None:
    v1 = Hierarchy({"cpu": str(tmp_path)}, v2.v2)
    for hierarchy, words in (
        (v2, "implemented for cgroup v2"),
        (v1, "supported by the kernel"),
        (Hierarchy({"memory": str(tmp_path)}), "supported by the kernel"),
    ):
        assert realtime_budget(0, 0, hierarchy) == (0, 0)
        with pytest.raises(InvalidParameter, match=f"cpu-rt-period and cpu-rt-runtime are not {words}"):
            realtime_budget(0, 1, hierarchy)
    (tmp_path / "cpu.rt_period_us").touch()
    assert realtime_budget(2, 1, v1) == (2, 1)
