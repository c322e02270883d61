"""sampan-net's filter: compiled for every machine, tried in a child on this one."""

import errno
import os
import socket
from collections.abc import Callable

import pytest

from sampan.errors import InvalidParameter
from sampan.kernel.process import Prctl, prctl
from sampan.kernel.seccomp import install_filter
from sampan.runtime.resolver_filter import filter_of_resolver


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_machine_has_one(machine: str) -> None:
    assert len(filter_of_resolver(machine)) % 8 == 0


def test_an_unknown_machine_has_none() -> None:
    with pytest.raises(InvalidParameter):
        filter_of_resolver("vax")


def behind(attempt: Callable[[], object]) -> int:
    """The errno of `attempt` behind the filter, 0 where it is let through."""
    pid = os.fork()
    if pid == 0:
        number = 255
        try:
            prctl(Prctl.SET_NO_NEW_PRIVS, 1)
            install_filter(filter_of_resolver(os.uname().machine))
            attempt()
            number = 0
        except OSError as error:
            number = error.errno or 255
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_packets_go_and_files_and_programs_do_not() -> None:
    def packet() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.sendto(b"x", sock.getsockname())
            assert sock.recv(1) == b"x"

    assert behind(packet) == 0
    refused: tuple[Callable[[], object], ...] = (
        lambda: os.open("/proc/self/status", os.O_RDONLY),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.mkdir("/tmp/x"),
        os.fork,
        lambda: socket.socket(socket.AF_UNIX),
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        lambda: os.pidfd_open(os.getppid()),
    )
    # ENOSYS for the calls that are newer than the filter's tables, as in the filters of containers.
    assert [behind(attempt) in (errno.EPERM, errno.ENOSYS) for attempt in refused] == [True] * len(refused)
