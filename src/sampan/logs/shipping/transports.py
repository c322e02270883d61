"""Connections to collectors. Every wait is bounded; whatever goes wrong is an OSError."""

import asyncio
import socket
import ssl
from collections.abc import Callable

CONNECT_SECONDS = 10.0
SEND_SECONDS = 30.0


class Undelivered(Exception):
    """Something went wrong on the way; of the records given, the first `delivered` have been sent."""

    def __init__(self, error: Exception, delivered: int) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.delivered = delivered


class Stream:
    """A connection in order: tcp, tls or unix. Made at the first send, and anew after a failure or the other side's end."""

    def __init__(self, kind: str, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        self._kind = kind
        self._host = host
        self._port = port
        self._tls = tls
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes, seconds: float = SEND_SECONDS) -> None:
        """Hand over all of it. Raises OSError; then nobody knows how much arrived."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                writer = await self._connected()
            async with asyncio.timeout(seconds):
                writer.write(data)
                await writer.drain()
        except UnicodeError as error:
            await self.close()
            raise _bad_name(self._host) from error
        except BaseException:
            await self.close()
            raise

    async def receive(self, most: int, seconds: float = SEND_SECONDS) -> bytes:
        """Some bytes of what the other side says; none at its end. Raises OSError."""
        if self._reader is None:
            return b""
        async with asyncio.timeout(seconds):
            return await self._reader.read(most)

    async def close(self) -> None:
        """End the connection."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
            except OSError:
                # It was broken already.
                return

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and self._reader is not None and not self._reader.at_eof():
            return self._writer
        await self.close()
        if self._kind == "unix":
            self._reader, self._writer = await asyncio.open_unix_connection(self._host)
        else:
            context = self._tls() if self._tls is not None else None
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        # Sent is what the kernel has, not what waits here.
        self._writer.transport.set_write_buffer_limits(high=0)
        return self._writer


class Datagrams:
    """Packets: udp or unixgram."""

    def __init__(self, kind: str, host: str, port: int) -> None:
        self._kind = kind
        self._host = host
        self._port = port
        self._sock: socket.socket | None = None

    async def send(self, packet: bytes) -> None:
        """Send one packet, when there is room for it. Raises OSError."""
        try:
            sock = await self._connected()
            async with asyncio.timeout(SEND_SECONDS):
                await asyncio.get_running_loop().sock_sendall(sock, packet)
        except UnicodeError as error:
            raise _bad_name(self._host) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the socket."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def _connected(self) -> socket.socket:
        if self._sock is None:
            self._sock = await self._connect()
        return self._sock

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        family = socket.AF_UNIX
        where: str | tuple[object, ...] = self._host
        if self._kind != "unixgram":
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            family, where = found[0][0], found[0][4]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(where)
        except BaseException:
            sock.close()
            raise
        return sock


def _bad_name(host: str) -> OSError:
    """A label of more than 63 bytes, or an empty one."""
    return socket.gaierror(socket.EAI_NONAME, f"{host} is no host name")
