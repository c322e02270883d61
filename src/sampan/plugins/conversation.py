"""One request to a plugin and its answer: HTTP/1.1 over a unix socket or TCP, on the event loop.

Source: RFC 9112. Nothing that comes is trusted: head, chunk lines and bodies are bounded, lengths are digits and nothing else.
How long anything may take is the caller's `asyncio.timeout`. A connection carries one request.
"""

import asyncio
import errno
import os
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sampan.plugins.faults import PluginAway, PluginBroke
from sampan.plugins.places import Address, Tls

MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
_HOST = "plugin.moby.localhost"
"""As Docker names a plugin at a unix socket."""
_HEAD_LIMIT = 64 * 1024
_PIECE = 64 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")
_DIGITS = frozenset(b"0123456789")


class Answer:
    """Status and body of an answer; the body is read once, within `asked`'s block."""

    __slots__ = ("_headers", "_reader", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], reader: asyncio.StreamReader) -> None:
        self.status = status
        self._headers = headers
        self._reader = reader

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises PluginBroke beyond `limit` bytes."""
        parts, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise PluginBroke(f"the answer is larger than {limit} bytes")
            parts.append(piece)
        return b"".join(parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, at most 64 KiB at a time. Raises PluginBroke where it ends too early."""
        if b"chunked" in self._headers.get(b"transfer-encoding", b"").lower():
            while left := await self._chunk_size():
                while left:
                    piece = await self._piece(left)
                    left -= len(piece)
                    yield piece
                await self._chunk_end()
        elif (length := self._headers.get(b"content-length")) is not None:
            left = _number(length, 10)
            while left:
                piece = await self._piece(left)
                left -= len(piece)
                yield piece
        else:
            while piece := await self._piece(_PIECE, or_end=True):
                yield piece

    async def _piece(self, size: int, *, or_end: bool = False) -> bytes:
        with _peers_faults():
            piece = await self._reader.read(min(size, _PIECE))
        if not piece and not or_end:
            raise PluginBroke("unexpected EOF")
        return piece

    async def _chunk_size(self) -> int:
        with _peers_faults():
            line = await self._reader.readuntil(b"\r\n")
        return _number(line.partition(b";")[0].strip(), 16)

    async def _chunk_end(self) -> None:
        with _peers_faults():
            if await self._reader.readexactly(2) != b"\r\n":
                raise PluginBroke("malformed chunk in the answer")


@asynccontextmanager
async def asked(address: Address, path: str, body: bytes) -> AsyncIterator[Answer]:
    """POST `body` to `path`; the connection lasts as long as the block.

    Raises PluginAway where nobody listens, PluginBroke for what goes wrong afterwards.
    """
    try:
        reader, writer = await _connect(address)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise PluginAway(f"dial {address}: {_why(error)}") from error
    try:
        with _peers_faults():
            writer.write(_request(address, path, body))
            await writer.drain()
        yield await read_answer(reader)
    finally:
        # Not waited for: a peer that reads nothing would keep what is unsent here for ever.
        writer.transport.abort()


@contextmanager
def _peers_faults() -> Iterator[None]:
    """TimeoutError passes: it is the caller's clock, or the kernel's, which means as much."""
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise PluginBroke(_why(error)) from error


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.guarded:
        return await _connect_guarded(address.socket)
    if address.socket:
        return await asyncio.open_unix_connection(address.socket, limit=_HEAD_LIMIT)
    context = None if address.tls is None else await asyncio.to_thread(_context, address.tls)
    return await asyncio.open_connection(address.host, address.port, limit=_HEAD_LIMIT, ssl=context)


async def _connect_guarded(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the socket at `path` itself: a link there would lead the engine's own rights to a socket of the plugin's choice."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        return await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}", limit=_HEAD_LIMIT)
    finally:
        os.close(descriptor)


def _context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError where a file cannot be read or is no certificate (ssl.SSLError is one)."""
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file or tls.key_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context


def _request(address: Address, path: str, body: bytes) -> bytes:
    host = address.host if address.host and ":" not in address.host else f"[{address.host}]" if address.host else _HOST
    lines = (
        f"POST /{path} HTTP/1.1",
        f"Host: {host}",
        f"Accept: {MEDIA_TYPE}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The head of the answer that comes next. Raises PluginBroke."""
    for _ in range(8):  # a hundred interim answers are no answer
        with _peers_faults():
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or len(rest) < 3 or not _DIGITS.issuperset(rest[:3]):
            raise PluginBroke(f"malformed HTTP response {first[:80]!r}")
        status = int(rest[:3])
        if status < 200:
            continue
        headers = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise PluginBroke(f"malformed header {line[:80]!r} in the answer")
            headers[name.lower()] = value.strip()
        return Answer(status, {b"content-length": b"0"} if status in (204, 304) else headers, reader)
    raise PluginBroke("interim answers without an end")


def _number(text: bytes, base: int) -> int:
    if not text or len(text) > 15 or not (_DIGITS if base == 10 else _HEX).issuperset(text):
        raise PluginBroke(f"malformed length {text[:40]!r} in the answer")
    return int(text, base)


def _why(error: Exception) -> str:
    if isinstance(error, asyncio.IncompleteReadError):
        return "EOF" if not error.partial else "unexpected EOF"
    if isinstance(error, asyncio.LimitOverrunError):
        return "a line of the answer is too long"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
