"""Questions passed on to servers outside, from the host's network namespace: one after the other until one answers.

Each attempt has a socket of its own, connected, so that the kernel chooses a port at random and takes answers from that server
alone; with a number drawn at random and the question compared, that is what stands against forged answers. Everything is
bounded: how many questions are open, how many for one container, how long each takes.

Loaded by the launcher.
"""

from __future__ import annotations

import functools
import os
import socket
import time

from sampan.network import dns
from sampan.network.answers import Answers
from sampan.runtime.poller import READ, WRITE, Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PORT = 53
_SECONDS = 2.0
_SERVERS = 3
_LEAST_TRIES = 2
_OPEN = 512
_OPEN_EACH = 64
_UNHELPFUL = (dns.SERVER_FAILURE, dns.NOT_IMPLEMENTED, 5)
"""Codes (5 is "refused") after which the next server is asked."""


class Upstream:
    """All questions that wait for somebody outside."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.answers = Answers()
        self._open: dict[str, int] = {}

    def ask(
        self, owner: str, servers: list[str], query: bytes, end: int, stream: bool, reply: Callable[[bytes], None]
    ) -> None:
        """Answer `query`, whose question ends at `end`, by `reply`: at once where it is known, or empty for a failure.

        `owner` is the container; `stream` asks by TCP.
        """
        chosen = tuple(servers[:_SERVERS])
        kept = self.answers.find(chosen, query, time.monotonic())
        if kept:
            reply(kept)
            return
        if not chosen or sum(self._open.values()) >= _OPEN or self._open.get(owner, 0) >= _OPEN_EACH:
            reply(b"")
            return
        self._open[owner] = self._open.get(owner, 0) + 1

        def done(response: bytes) -> None:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
            if response:
                self.answers.keep(chosen, query, end, response, time.monotonic())
                response = query[:2] + response[2:]
            reply(response)

        _Exchange(self.poller, chosen, query, end, stream, done).next()


class _Exchange:
    """One question on its way. `done` is called once, with the response or empty."""

    def __init__(
        self,
        poller: Poller,
        servers: tuple[str, ...],
        query: bytes,
        end: int,
        stream: bool,
        done: Callable[[bytes], None],
    ) -> None:
        self._poller = poller
        self._servers = servers
        self._query = os.urandom(2) + query[2:]
        self._end = end
        self._stream = stream
        self._done: Callable[[bytes], None] | None = done
        self._tries = 0
        self._socket: socket.socket | None = None
        self._unsent = b""
        self._received = b""
        self._unhelpful = b""

    def next(self) -> None:
        """Ask the next server; after the last the exchange has failed."""
        self._close()
        while self._tries < max(len(self._servers), _LEAST_TRIES):
            server = self._servers[self._tries % len(self._servers)]
            self._tries += 1
            try:
                self._send_to(server)
            except OSError:
                self._close()
                continue
            self._poller.later(_SECONDS, functools.partial(self._expire, self._tries))
            return
        self._finish(self._unhelpful)

    def _send_to(self, server: str) -> None:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM
        self._socket = sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        if self._stream:
            try:
                sock.connect((server, _PORT))
            except BlockingIOError:
                pass  # under way: it becomes writable
            self._unsent, self._received = len(self._query).to_bytes(2, "big") + self._query, b""
            self._poller.add(sock.fileno(), self._stream_ready, WRITE)
        else:
            sock.connect((server, _PORT))
            sock.send(self._query)
            self._poller.add(sock.fileno(), self._datagram_ready)

    def _expire(self, tries: int) -> None:
        if self._done is not None and self._tries == tries:
            self.next()

    def _datagram_ready(self, _events: int) -> None:
        assert self._socket is not None
        try:
            self._judge(self._socket.recv(dns.MESSAGE_LIMIT))
        except BlockingIOError:
            return
        except OSError:
            self.next()

    def _stream_ready(self, _events: int) -> None:
        sock = self._socket
        assert sock is not None
        try:
            if self._unsent:
                self._unsent = self._unsent[sock.send(self._unsent) :]
                if not self._unsent:
                    self._poller.change(sock.fileno(), READ)
                return
            piece = sock.recv(dns.MESSAGE_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            self.next()
            return
        self._received += piece
        length = int.from_bytes(self._received[:2], "big") + 2
        if len(self._received) >= max(length, 2):
            self._judge(self._received[2:length])
        elif not piece:
            self.next()

    def _judge(self, response: bytes) -> None:
        if len(response) < 12 or not dns.belongs_to(response, self._query, self._end):
            if self._stream:
                self.next()
            # By UDP it may be anybody's: the true one may still come.
            return
        if response[3] & 0x0F in _UNHELPFUL:
            self._unhelpful = response
            self.next()
            return
        self._finish(response)

    def _finish(self, response: bytes) -> None:
        self._close()
        done, self._done = self._done, None
        if done is not None:
            done(response)

    def _close(self) -> None:
        if self._socket is not None:
            self._poller.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None
