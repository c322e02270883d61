"""The process that becomes fuse-overlayfs: what its filter forbids, and what becomes of one that cannot serve."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.snapshots.serving import Server
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "mount-interface", "fuse", "fuse-overlayfs")

_UNDER_THE_FILTER = """
import ctypes, errno, os, socket, threading
from sampan.kernel.process import Prctl, prctl
from sampan.kernel.namespaces import Clone, clone3, unshare
from sampan.kernel.seccomp import install_filter
from sampan.snapshots.jail_filter import serving_program
prctl(Prctl.SET_NO_NEW_PRIVS, 1)
install_filter(serving_program())
def told(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'done'
libc = ctypes.CDLL(None, use_errno=True)
def clone(flags):
    number = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]
    pid = libc.syscall(number, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), 'clone')
    os.waitpid(pid, 0)
print('clone', told(lambda: clone(0)))
for name in ('NEWUSER', 'NEWNS', 'NEWNET', 'NEWPID'):
    print(name, told(lambda: clone(Clone[name])))
print('clone3', told(lambda: clone3(Clone(0))))
print('unshare', told(lambda: unshare(Clone.NEWUSER)))
print('socket', told(socket.socket))
print('kill', told(lambda: os.kill(os.getpid(), 0)))
thread = threading.Thread(target=lambda: print('thread', 'ran'))
thread.start()
thread.join()
os.execv('/bin/sh', ['sh', '-c', 'echo executed'])
"""


def test_threads_and_programs_but_no_namespaces_sockets_or_signals() -> None:
    done = subprocess.run([sys.executable, "-u", "-c", _UNDER_THE_FILTER], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:-1] == [
        "clone done",
        *(f"{name} EPERM" for name in ("NEWUSER", "NEWNS", "NEWNET", "NEWPID")),
        "clone3 ENOSYS",
        "unshare EPERM",
        "socket EPERM",
        "kill EPERM",
        "thread ran",
        "executed",
    ], done


def test_a_program_that_cannot_serve_is_an_error_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    lower = os.open(tmp_path / "lower", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match=r"serves no mount: .*unrecognized option|serves no mount: .*ls: "):
            Server("/usr/bin/ls").mount([lower])
        with pytest.raises(OSError, match="No such file"):
            Server("/usr/bin/there-is-no-such-program").mount([lower])
    finally:
        os.close(lower)


def test_it_ends_when_nobody_holds_the_mount(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    (tmp_path / "lower" / "file").write_text("below")
    lower = os.open(tmp_path / "lower", os.O_RDONLY | os.O_DIRECTORY)
    try:
        mount = Server("/usr/bin/fuse-overlayfs").mount([lower])
    finally:
        os.close(lower)
    held = os.open("file", os.O_RDONLY, dir_fd=mount)
    os.close(mount)
    assert os.read(held, 10) == b"below"
    assert _serves(tmp_path)
    os.close(held)
    eventually(lambda: not _serves(tmp_path))


def _serves(place: Path) -> bool:
    """Whether a program has what lies at `place` among its layers."""
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "comm").read_text() == "fuse-overlayfs\n" and f"{place}/lower" in (
                entry / "mountinfo"
            ).read_text():
                return True
        except OSError:
            continue
    return False
