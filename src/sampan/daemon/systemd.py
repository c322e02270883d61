"""What systemd hands over and wants to hear (sd_listen_fds(3), sd_notify(3)), without its library."""

import fcntl
import os
import socket
from collections.abc import Mapping

from sampan.errors import System

_FIRST = 3
_MOST = 64


def listening(environment: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process; empty where it was not asked to."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environment.get("LISTEN_FDS", "0")
    if not count.isdecimal() or int(count) > _MOST:
        raise System(f"LISTEN_FDS={count}: not a count of sockets")
    found = []
    for descriptor in range(_FIRST, _FIRST + int(count)):
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        found.append(socket.socket(fileno=descriptor))
    return found


def notify(environment: Mapping[str, str], state: str) -> None:
    """Tell systemd `READY=1` or `STOPPING=1`; nothing where no one listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            raise System(f"NOTIFY_SOCKET={address}: {error.strerror}") from error
