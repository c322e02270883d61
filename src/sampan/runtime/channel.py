"""A channel of `messages.py` on the daemon's event loop: never blocks, asks and answers matched by number."""

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from sampan.runtime.messages import Kind, Message, ProtocolError, receive_whole, send_encoded

_log = logging.getLogger("sampan.runtime")
_encode = msgspec.json.Encoder().encode
_MOST_WAITING = 1024


class ChannelClosed(Exception):
    """The other side is gone, or said something that the protocol does not allow."""


class Channel:
    """One socket. `heard` gets every packet that answers no question; `closed` is called once, when the other side is gone.

    A ProtocolError of `heard` ends the channel, as a packet does that is none.
    """

    def __init__(self, sock: socket.socket, heard: Callable[[Message], None], closed: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._heard = heard
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._questions: dict[int, asyncio.Future[Message]] = {}
        self._number = 0
        self._waiting: deque[tuple[Kind, bytes, list[int], int]] = deque()
        self._open = True
        self._loop.add_reader(sock.fileno(), self._readable)

    def post(self, kind: Kind, body: object, descriptors: Sequence[int] = (), request: int = 0) -> None:
        """Send without an answer. The descriptors are the caller's to close. Raises ChannelClosed."""
        if not self._open:
            raise ChannelClosed(kind.name)
        encoded = _encode(body)
        if not self._waiting:
            try:
                send_encoded(self._sock, kind, encoded, list(descriptors), request)
                return
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._writable)
            except OSError as error:
                raise ChannelClosed(f"{kind.name}: {error}") from error
        if len(self._waiting) >= _MOST_WAITING:
            raise ChannelClosed(f"{kind.name}: {_MOST_WAITING} packets wait already")
        self._waiting.append((kind, encoded, [os.dup(descriptor) for descriptor in descriptors], request))

    async def ask(self, kind: Kind, body: object, descriptors: Sequence[int] = ()) -> Message:
        """Send and wait for the packet with the same number. Raises ChannelClosed."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._questions[number] = answer
        try:
            self.post(kind, body, descriptors, number)
            return await answer
        finally:
            del self._questions[number]

    def close(self) -> None:
        """Let go of the socket; questions fail. `closed` is not called."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, _, descriptors, _ in self._waiting:
            for descriptor in descriptors:
                os.close(descriptor)
        self._waiting.clear()
        for question in self._questions.values():
            if not question.done():
                question.set_exception(ChannelClosed("the other side is gone"))

    def _writable(self) -> None:
        while self._waiting:
            kind, encoded, descriptors, request = self._waiting[0]
            try:
                send_encoded(self._sock, kind, encoded, descriptors, request)
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            self._waiting.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        while self._open:
            try:
                message = receive_whole(self._sock)
            except BlockingIOError:
                return
            except (OSError, ProtocolError):
                message = None
            if message is None:
                self._lost()
                return
            question = self._questions.get(message.request) if message.request else None
            if question is not None and not question.done():
                question.set_result(message)
                continue
            try:
                self._heard(message)
            except ProtocolError as error:
                _log.error("%s", error)
                self._lost()

    def _lost(self) -> None:
        self.close()
        self._closed()
