"""A client of the resolver by TCP: queries with their length before them, one at a time, for a bounded while.

Loaded by the launcher.
"""

from __future__ import annotations

import socket
import time

from sampan.network import dns
from sampan.runtime.poller import READ, WRITE, Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Reply = Callable[[bytes], None]

SECONDS = 30.0
_UNSENT_LIMIT = 2 * dns.MESSAGE_LIMIT


class Questioner:
    """One connection. `ask` gets each query and where to put the response; `gone` is called once, at the end."""

    def __init__(
        self, poller: Poller, sock: socket.socket, ask: Callable[[bytes, Reply], None], gone: Callable[[], None]
    ) -> None:
        self._poller = poller
        self._socket: socket.socket | None = sock
        self._ask = ask
        self._gone = gone
        self._received = b""
        self._unsent = b""
        self._waits = False
        """for the response to a query: nothing more is read meanwhile"""
        poller.add(sock.fileno(), self._ready)
        self.until = time.monotonic() + SECONDS
        """when the connection ends, whatever goes on; its owner looks"""

    def close(self) -> None:
        """End it; again is allowed."""
        if self._socket is not None:
            self._poller.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None
            gone = self._gone
            # Its owner's functions know it, too: the launcher's children collect no cycles.
            self._gone, self._ask = _nothing, _no_answer
            gone()

    def _ready(self, events: int) -> None:
        assert self._socket is not None
        try:
            if events & WRITE:
                self._send()
            if events & ~WRITE:
                piece = self._socket.recv(dns.QUERY_LIMIT)
                if not piece:
                    self.close()
                    return
                self._received += piece
                self._serve()
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def _serve(self) -> None:
        """Take up the next query, if it is there whole and none is under way."""
        if self._waits or len(self._received) < 2:
            return
        length = int.from_bytes(self._received[:2], "big")
        if not 12 <= length <= dns.QUERY_LIMIT:
            self.close()
            return
        if len(self._received) < length + 2:
            return
        query, self._received = self._received[2 : length + 2], self._received[length + 2 :]
        self._waits = True
        self._watch()
        self._ask(query, self._reply)

    def _reply(self, response: bytes) -> None:
        if self._socket is None:
            return
        self._waits = False
        if not response or len(self._unsent) > _UNSENT_LIMIT:
            self.close()
            return
        self._unsent += len(response).to_bytes(2, "big") + response
        try:
            self._send()
        except BlockingIOError:
            self._watch()
        except OSError:
            self.close()
            return
        self._serve()

    def _send(self) -> None:
        assert self._socket is not None
        while self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        self._watch()

    def _watch(self) -> None:
        if self._socket is not None:
            self._poller.change(self._socket.fileno(), (0 if self._waits else READ) | (WRITE if self._unsent else 0))


def _nothing() -> None:
    return


def _no_answer(_query: bytes, _reply: Reply) -> None:
    return
