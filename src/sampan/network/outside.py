"""Sockets of another network namespace: a rootless daemon asks its keeper, which stands in the machine's, for them.

    daemon ── {"want": "socket", "type": "tcp", "family": 4} ──▶ keeper
           ◀── {} and the descriptor, or {"error": text} ──

What a socket may be bound to is decided where it was made, and who may bind it by whom it is bound: the keeper need not know what
for. One question for each connection, of at most LIMIT bytes (SOCK_SEQPACKET).
"""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 4096
TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
SOCKET_NAME = "keeper.sock"
"""In the daemon's exec root."""
_SECONDS = 5.0


def ask(path: str, question: dict[str, Any], seconds: float = _SECONDS) -> tuple[dict[str, Any], list[int]]:
    """One question to the keeper at `path`: its answer and descriptors, which are the caller's.

    Raises OSError, and that also where the keeper says what went wrong.
    """
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(seconds)
            # By descriptor: a path in a home may be longer than an address can be.
            sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
            sock.send(json.dumps(question).encode())
            data, descriptors, _, _ = socket.recv_fds(sock, LIMIT, 4)
    finally:
        os.close(directory)
    try:
        answer = json.loads(data)
        if not isinstance(answer, dict):
            raise ValueError(data[:80])
        if "error" in answer:
            raise OSError(int(answer.get("errno", 0)), str(answer["error"]))
    except (ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
        for descriptor in descriptors:
            os.close(descriptor)
        raise error if isinstance(error, OSError) else OSError(71, f"the keeper answered {data[:80]!r}") from error
    return answer, descriptors


class Outside:
    """Makes sockets in the machine's network namespace. `keeper` is the path at which the keeper listens."""

    def __init__(self, keeper: str) -> None:
        self._keeper = keeper

    def open(self, family: int, protocol: str) -> socket.socket:
        """An unbound socket, blocking and close-on-exec. Raises OSError where there is no keeper."""
        number = 6 if family == socket.AF_INET6 else 4
        _, descriptors = ask(self._keeper, {"want": "socket", "type": protocol, "family": number})
        if len(descriptors) != 1:
            for descriptor in descriptors:
                os.close(descriptor)
            raise OSError(71, "the keeper gave no socket")
        os.set_inheritable(descriptors[0], False)
        return socket.socket(fileno=descriptors[0])
