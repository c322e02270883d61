"""Locks, pid files, listening sockets and systemd's protocol, on the real file system."""

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from sampan.daemon import config, flags, systemd
from sampan.daemon.listeners import open_listeners
from sampan.daemon.presence import Held, instance_of, prepare, remove_pidfile, write_pidfile
from sampan.errors import System


def test_a_second_daemon_is_refused_by_name(tmp_path: Path) -> None:
    held = prepare(tmp_path / "root", "data root", 0o710)
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o710
    with pytest.raises(System, match=rf"data root {tmp_path}/root is in use by another daemon \(pid {os.getpid()}\)"):
        prepare(tmp_path / "root", "data root", 0o710)
    held.release()
    prepare(tmp_path / "root", "data root", 0o710).release()


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    held = prepare(tmp_path, "exec root", 0o711)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    held.release()
    try:
        _eventually_free(tmp_path).release()
        assert child.poll() is None, "it is free although the child lives"
    finally:
        child.communicate(b"\n", timeout=10)


def test_a_child_of_a_dead_daemon_is_waited_for(tmp_path: Path) -> None:
    prepare(tmp_path, "exec root", 0o711).release()
    # It holds the lock as a child does between fork and exec; the pid in the file is that of nobody.
    script = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        (tmp_path / "lock").write_text(f"{2**22 + 1}\n")
        threading.Timer(0.2, child.stdin.close).start()
        prepare(tmp_path, "exec root", 0o711).release()


def _eventually_free(root: Path) -> Held:
    """The kernel lets a vfork's parent go on a moment before the child's exec closes descriptors."""
    end = time.monotonic() + 5
    while True:
        try:
            return prepare(root, "exec root", 0o711)
        except System:
            if time.monotonic() > end:
                raise


def test_the_instance_is_the_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert instance_of(tmp_path / "link") == instance_of(tmp_path / "real")
    assert len(instance_of(tmp_path)) == 12


def test_pid_files(tmp_path: Path) -> None:
    path = tmp_path / "run" / "pid"
    write_pidfile(path)
    assert path.read_text() == str(os.getpid())
    path.write_text("1")
    with pytest.raises(System, match="process with PID 1 is still running"):
        write_pidfile(path)
    remove_pidfile(path)
    assert path.exists(), "another one's file stays"
    path.write_text("999999999")
    write_pidfile(path)
    remove_pidfile(path)
    assert not path.exists()


def settings(*arguments: str) -> config.DaemonConfig:
    return config.load(flags.parse(["--group", str(os.getgid()), *arguments]))


@pytest.mark.skipif(os.geteuid() != 0, reason="the socket's owner is root")
def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = open_listeners(settings("-H", f"unix://{path}"), [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(System, match="another program listens on it"):
        open_listeners(settings("-H", f"unix://{path}"), [])
    listener.sock.close()
    (again,) = open_listeners(settings("-H", f"unix://{path}"), [])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    again.sock.close()


def test_tcp_and_systemd() -> None:
    with pytest.raises(System, match="socket activation"):
        open_listeners(settings("-H", "fd://"), [])
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    given.listen()
    taken = given.getsockname()[1]
    with pytest.raises(System, match=f"listen tcp 127.0.0.1:{taken}: Address already in use"):
        open_listeners(settings("-H", f"tcp://127.0.0.1:{taken}"), [])
    (listener,) = open_listeners(settings("-H", "fd://"), [given])
    assert listener.sock is given
    given.close()


def test_an_unknown_group_is_refused_only_if_it_was_named(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/s"
    with pytest.raises(System, match="group no-such-group not found"):
        open_listeners(settings("-H", host, "-G", "no-such-group"), [])
    quiet = msgspec.structs.replace(settings("-H", host), group="no-such-group", group_given=False)
    if os.geteuid() == 0:
        (listener,) = open_listeners(quiet, [])
        listener.sock.close()


def test_systemd_is_told(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        systemd.notify({"NOTIFY_SOCKET": address}, "READY=1")
        assert receiver.recv(64) == b"READY=1"
    systemd.notify({}, "READY=1")
    assert systemd.listening({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
