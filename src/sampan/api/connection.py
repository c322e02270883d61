"""One client's connection: requests in, answers out in their order, and given away whole when a route hijacks it."""

import asyncio
import logging
import socket
import ssl
import time

from sampan.api.application import Application
from sampan.api.caller import caller_of
from sampan.api.origin import Origins
from sampan.api.reader import Head, Malformed, RequestReader
from sampan.api.request import Request
from sampan.api.responses import BAD_HEAD, Answer, Carry, Handover, Response, Stream
from sampan.api.takeover import bare_socket, take_socket, take_websocket
from sampan.errors import InvalidParameter
from sampan.spec.requests import Hijacked
from sampan.telemetry import request_id

_READ_AHEAD = 64 * 1024
"""What is kept of a client that sends while nobody reads its body; then its socket is left alone."""
_HEAD_SECONDS = 60.0
"""How long a head may take from its first byte, against clients that send it drop by drop."""
_WRITE_AHEAD = 256 * 1024
"""What is kept for a client that does not read; then the route waits."""
_LINGER_SECONDS = 1.0
"""How long the rest of an unwanted body is read before the connection ends, so that the client sees the answer first."""

_log = logging.getLogger("sampan.api")


class Connection(asyncio.Protocol):
    """Reads a request, answers it, reads the next. Pipelined requests wait, so answers keep their order."""

    def __init__(self, application: Application, origins: Origins | None, open_connections: "set[Connection]") -> None:
        self._application = application
        self._origins = origins
        self._open = open_connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._caller: tuple[int, int] | None = None
        self._tls: ssl.SSLObject | None = None
        self._reader = RequestReader()
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._lingering = False
        self._keep_alive = True
        self._chunks = True
        self._body_expected = False
        self._body_done = True
        self._broken = False
        self._continue_wanted = False
        self._ended = False
        self._lost = False
        self._more: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._full = False

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, first."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._caller = caller_of(transport)
        self._tls = transport.get_extra_info("ssl_object")
        transport.set_write_buffer_limits(high=_WRITE_AHEAD)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._lingering:
            return
        self._unread += len(data)
        self._reader.feed(data)
        if self._task is None:
            self._next_request()
        elif self._more is not None:
            _wake(self._more)
        elif self._unread > _READ_AHEAD:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more: it may have gone, or wait for the answer to what it sent."""
        self._ended = True
        if self._lingering or self._task is None:
            return False
        if self._more is not None:
            _wake(self._more)
        self._cancel_if_pointless()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called once, last. A request that changes something is carried through; only what it would tell is dropped."""
        self._lost = self._ended = True
        self._open.discard(self)
        self._stop_head_timer()
        for waiting in (self._more, self._room):
            if waiting is not None:
                _wake(waiting)
        self._cancel_if_pointless()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        if self._room is not None:
            _wake(self._room)

    def _cancel_if_pointless(self) -> None:
        if self._task is not None and self._request is not None and self._request.follows:
            self._task.cancel()

    # What the server asks.

    def shut_down(self) -> asyncio.Task[None] | None:
        """End it: at once where nothing is under way or it only follows; else the task to wait for is returned."""
        if self._task is None:
            self._transport.abort()
            return None
        self._keep_alive = False
        self._cancel_if_pointless()
        return self._task

    # Reading requests.

    def _next_request(self) -> None:
        try:
            head = self._reader.head()
        except Malformed as error:
            self._refuse(error.status)
            return
        if head is not None:
            if self._head_timer is not None:
                self._stop_head_timer()
            self._begin(head)
        elif self._head_timer is None and self._reader.begun:
            self._head_timer = self._loop.call_later(_HEAD_SECONDS, self._refuse, 408)

    def _begin(self, head: Head) -> None:
        headers = head.headers
        self._body_expected = head.has_body
        self._body_done = not head.has_body
        self._chunks = head.minor == 1
        self._keep_alive = self._chunks and b"close" not in headers.get(b"connection", b"").lower()
        self._continue_wanted = head.has_body and headers.get(b"expect", b"").lower() == b"100-continue"
        target = head.target if head.target.startswith("/") else _origin_form(head.target)
        path, _, query = target.partition("?")
        request = self._request = Request(head.method, path, query, headers, self)
        request.caller = self._caller
        request.tls = self._tls
        self._task = self._loop.create_task(self._serve(request))

    @property
    def expected(self) -> bool:
        """Whether the request's head announced a body."""
        return self._body_expected

    async def next_chunk(self) -> bytes:
        """Bytes of the body, b"" at its end. Raises ConnectionResetError where the client left before it."""
        while not self._body_done:
            try:
                chunk = self._reader.chunk()
            except Malformed as error:
                self._broken = True
                raise InvalidParameter(f"malformed request body: {error}") from error
            if chunk:
                return chunk
            if chunk is None:
                await self._wait_for_data()
            else:
                self._body_done = True
        return b""

    async def _wait_for_data(self) -> None:
        if self._ended:
            raise ConnectionResetError("the client left before its request was complete")
        if self._continue_wanted:
            self._continue_wanted = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._unread = 0
        self._transport.resume_reading()
        self._more = self._loop.create_future()
        try:
            await self._more
        finally:
            self._more = None

    # Answering.

    async def _serve(self, request: Request) -> None:
        request.id = request_id.begin(request.headers.get(b"x-request-id"))
        began, outcome = time.monotonic(), ""
        try:
            refusal = self._origins.refuse(request.headers) if self._origins is not None else None
            answer: Answer = refusal or await self._application.answer(request)
            outcome = str(answer.status) if not isinstance(answer, Handover) else "given away"
            if isinstance(answer, Response):
                await self._send(answer, request)
            elif isinstance(answer, Stream):
                if await self._send_stream(answer, request.id):
                    return
            else:
                await self._hand_over(answer, request.upgrade)
                return
        except (ConnectionError, asyncio.CancelledError):
            self._transport.abort()
            outcome = "the client left"
            return
        except Exception:  # noqa: BLE001 - the boundary of a connection
            _log.exception("%s %s: broken off", request.method, request.path)
            self._transport.abort()
            outcome = "broken off"
            return
        finally:
            self._request = self._task = None
            if _log.isEnabledFor(logging.DEBUG):
                # Without the query: a build's arguments are in it.
                took = (time.monotonic() - began) * 1000
                _log.debug("%s %s: %s, %.1f ms", request.method, request.path, outcome, took)
        self._go_on()

    async def _send(self, response: Response, request: Request) -> None:
        if self._lost:
            return
        if not self._body_done:
            self._drop_rest()
        head = self._application.heads.complete(response, not self._keep_alive, request.id)
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        self._transport.write(head if bodiless else head + response.body)
        if self._full:
            await self._wait_for_room()

    async def _send_stream(self, stream: Stream, request: str) -> bool:
        """True where the connection was given away."""
        bare = bare_socket(self._transport) if stream.carry is not None else None
        self._keep_alive = self._keep_alive and self._chunks and bare is None
        chunks = stream.chunks
        try:
            self._write(self._application.heads.stream(stream, self._chunks, not self._keep_alive, request))
            if bare is not None and stream.carry is not None and await self._carried(bare, stream.carry):
                return True
            async for chunk in chunks:
                if chunk:
                    self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunks else chunk)
                    await self._wait_for_room()
            if self._chunks:
                self._write(b"0\r\n\r\n")
            return False
        finally:
            if bare is not None:
                bare.close()
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    def _write(self, data: bytes) -> None:
        if self._lost:
            raise ConnectionResetError("the client left")
        self._transport.write(data)

    async def _wait_for_room(self) -> None:
        while self._full and not self._lost:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _drop_rest(self) -> None:
        """Take what is left of a body and already here; what is not makes this the connection's last answer."""
        while not self._body_done:
            try:
                chunk = None if self._broken else self._reader.chunk()
            except Malformed:
                chunk = None
            if chunk is None:
                self._keep_alive = False
                return
            self._body_done = not chunk

    def _go_on(self) -> None:
        if self._lost:
            return
        if not self._body_done:
            self._linger()
            return
        if not self._keep_alive:
            self._transport.close()
            return
        if self._unread > _READ_AHEAD and not self._ended:
            self._transport.resume_reading()
        self._unread = 0
        if self._reader.begun:
            self._next_request()
        # A client that has sent several requests and no more to come waits for all of their answers.
        if self._ended and self._task is None and not self._lingering:
            self._transport.close()

    def _linger(self) -> None:
        """Closing a socket with unread bytes in it may take the answer from the client: read a little longer."""
        self._lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(_LINGER_SECONDS, self._transport.close)

    def _refuse(self, status: int) -> None:
        """Answer what is no request, and end."""
        self._stop_head_timer()
        self._transport.write(BAD_HEAD.get(status, BAD_HEAD[400]))
        self._linger()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    # Giving the connection away.

    async def _carried(self, bare: socket.socket, carry: Carry) -> bool:
        """Have the rest of a stream sent by somebody else. False where it is to be sent from here after all."""
        await self._drain()
        if not await carry(bare, self._chunks):
            self._transport.set_write_buffer_limits(high=_WRITE_AHEAD)
            self._transport.resume_reading()
            return False
        self._open.discard(self)
        self._transport.abort()
        return True

    async def _drain(self) -> None:
        """Read nothing more, and wait until all that was written has left: then the connection can be given away."""
        self._transport.pause_reading()
        self._transport.set_write_buffer_limits(0)
        await self._wait_for_room()
        if self._lost:
            raise ConnectionResetError("the client left")

    async def _hand_over(self, answer: Handover, upgraded: bool) -> None:
        while await self.next_chunk():
            pass
        # From here on nothing is read: what the client sends next belongs to whoever takes the socket.
        self._transport.pause_reading()
        pending = self._reader.take_rest()
        heads, websocket = self._application.heads, answer.websocket
        self._write(
            heads.websocket(websocket) if websocket else heads.upgrade(answer.content_type, upgraded, answer.protocol)
        )
        await self._drain()
        if websocket:
            sock = take_websocket(self._transport, self._ended, pending, websocket.opcode)
            pending = b""
        else:
            sock = take_socket(self._transport)
        self._open.discard(self)
        await answer.target.take(Hijacked(sock, pending, upgraded))


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _origin_form(target: str) -> str:
    """`http://docker/info` (as to a proxy) → `/info`; `*` and the like become a path that no route has."""
    _, scheme, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if scheme else "/" + target
