"""A descriptor in a socket's queue, with a name to it: whoever holds the socket keeps what is described alive.

A monitor holds the sockets it is given with a start until its container has ended, and need not know what they are. A daemon
that comes later looks into them without taking anything out (MSG_PEEK).
"""

import array
import os
import socket

from sampan.kernel.process import pidfd_getfd

_MARK = b"sampan-volume:"
_LIMIT = 512


def write(name: str, descriptor: int) -> socket.socket:
    """A socket that holds a copy of `descriptor`. Raises OSError."""
    kept, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        rights = array.array("i", [descriptor])
        other.sendmsg([_MARK + name.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except BaseException:
        kept.close()
        raise
    finally:
        other.close()
    return kept


def read(letter: socket.socket) -> tuple[str, int] | None:
    """The name and a copy of the descriptor, which the caller closes; None where the socket holds no such thing."""
    if letter.family != socket.AF_UNIX or letter.type != socket.SOCK_DGRAM:
        return None
    flags = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    try:
        text, messages, _, _ = letter.recvmsg(_LIMIT, socket.CMSG_SPACE(4), flags)
    except OSError:
        return None  # nothing in it
    rights = array.array("i")
    for level, kind, data in messages:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            rights.frombytes(data[: len(data) - len(data) % rights.itemsize])
    if len(rights) == 1 and text.startswith(_MARK):
        return text.removeprefix(_MARK).decode(errors="replace"), rights[0]
    for descriptor in rights:
        os.close(descriptor)
    return None


def held_by(pid: int) -> dict[str, int]:
    """What the letters hold that the process `pid` has, by name. The caller closes them. Raises OSError where it is gone."""
    found: dict[str, int] = {}
    pidfd = os.pidfd_open(pid)
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                    continue
                # By pidfd: should the number be another process's by now, nothing of that one is taken.
                sock = socket.socket(fileno=pidfd_getfd(pidfd, int(number)))
            except OSError:
                continue  # closed meanwhile
            with sock:
                held = read(sock)
            if held is not None:
                if held[0] in found:
                    os.close(held[1])
                else:
                    found[held[0]] = held[1]
    finally:
        os.close(pidfd)
    return found
