"""Sockets of published ports borrowed from the monitor that holds them: the same sockets, by pidfd_getfd(2)."""

import os
import socket
from collections.abc import Iterable

from sampan.kernel.process import pid_of, pidfd_getfd

Wanted = tuple[str, str, int]
"""Protocol, the host's address, the host's port."""

_TYPES = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}


def borrow(pidfd: int, wanted: Iterable[Wanted]) -> dict[Wanted, socket.socket]:
    """Those of `wanted` that the process has. The caller closes them. Raises OSError where it is gone."""
    missing = set(wanted)
    found: dict[Wanted, socket.socket] = {}
    folder = f"/proc/{pid_of(pidfd)}/fd"
    for name in os.listdir(folder) if missing else ():
        try:
            if not os.readlink(f"{folder}/{name}").startswith("socket:"):
                continue
            # By pidfd: should the number be another process's by now, nothing of that one is taken.
            sock = socket.socket(fileno=pidfd_getfd(pidfd, int(name)))
        except OSError:  # closed meanwhile
            continue
        key = _key(sock)
        if key in missing:
            missing.discard(key)
            found[key] = sock
        else:
            sock.close()
    return found


def own(held: Iterable[socket.socket], wanted: Iterable[Wanted]) -> dict[Wanted, socket.socket]:
    """Copies of those of `wanted` that are among `held`. The caller closes them."""
    missing = set(wanted)
    return {
        key: sock.dup() for sock in held if sock.fileno() >= 0 and (key := _key(sock)) in missing and key is not None
    }


def _key(sock: socket.socket) -> Wanted | None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type not in _TYPES:
        return None
    host_ip, port, *_ = sock.getsockname()
    return _TYPES[sock.type], host_ip, port
