"""A proxied TCP connection: what one side sends goes to the other, in pieces, each way closed when its sender closes it.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import socket

from sampan.runtime.poller import READ, WRITE, Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 32 * 1024
_TURNS = 8
"""Pieces that one side may send before it is another's turn."""


class _Side:
    """One end: what is still to be sent to it, whether it sends no more, whether it has been told that the other sends no more."""

    __slots__ = ("ended", "sock", "told", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unsent = memoryview(b"")
        self.ended = False
        self.told = False


class Relay:
    """`target` is being connected. `gone` is called once, at the end."""

    def __init__(
        self, poller: Poller, client: socket.socket, target: socket.socket, gone: Callable[[Relay], None]
    ) -> None:
        self._poller = poller
        self._client, self._target = _Side(client), _Side(target)
        self._gone = gone
        self._connecting = True
        poller.add(target.fileno(), lambda _events: self._ready(), WRITE)
        poller.add(client.fileno(), lambda _events: self._ready(), 0)

    def close(self) -> None:
        """End it; again is allowed."""
        if self._client.sock.fileno() < 0:
            return
        for side in (self._client, self._target):
            self._poller.remove(side.sock.fileno())
            side.sock.close()
        self._gone(self)

    def _ready(self) -> None:
        try:
            if self._connecting:
                number = self._target.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, os.strerror(number))
                self._target.sock.getpeername()
                self._connecting = False
            for source, sink in ((self._client, self._target), (self._target, self._client)):
                self._move(source, sink)
        except OSError:
            # Either side broke off, or the container does not listen: its caller hears of it by the end of the connection.
            self.close()
            return
        if self._client.told and self._target.told:
            self.close()
            return
        self._watch()

    def _move(self, source: _Side, sink: _Side) -> None:
        for _ in range(_TURNS):
            if not sink.unsent and not source.ended:
                try:
                    piece = source.sock.recv(_PIECE)
                except BlockingIOError:
                    return
                source.ended = not piece
                sink.unsent = memoryview(piece)
            while sink.unsent:
                try:
                    sink.unsent = sink.unsent[sink.sock.send(sink.unsent) :]
                except BlockingIOError:
                    return
            if source.ended:
                if not sink.told:
                    sink.told = True
                    sink.sock.shutdown(socket.SHUT_WR)
                return

    def _watch(self) -> None:
        for side, other in ((self._client, self._target), (self._target, self._client)):
            reads = READ if not side.ended and not other.unsent else 0
            self._poller.change(side.sock.fileno(), reads | (WRITE if side.unsent else 0))
