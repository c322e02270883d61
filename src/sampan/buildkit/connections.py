"""gRPC on connections that the API gave away: as the server (`/grpc`), and with the roles changed as the client (`/session`)."""

import asyncio
import json
import logging
import socket
from collections.abc import Mapping, Sequence
from typing import Any, cast

from grpclib.client import Channel
from grpclib.const import Handler, Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.protocol import Stream as RawStream
from grpclib.server import Server

from sampan.buildkit.floods import PREFACE, WRITTEN, Bucket, Flooded
from sampan.buildkit.protocol import status_pb2

_log = logging.getLogger("sampan.buildkit")

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message, as BuildKit bounds them; grpclib itself would wait for four gigabytes."""
_DETAILS_LIMIT = 3 * 1024
"""Bytes of error details in a header: more, and clients' HTTP/2 refuses the whole answer (8 KB of headers, base64)."""

_AT_ONCE = 1 << 14
"""Bytes that are read before it is looked at what they did."""

Detail = tuple[str, Mapping[str, object] | bytes]
"""An error's detail: BuildKit's type URL, and the document, which is JSON there too (containerd's typeurl); bytes are passed on."""


class Details(StatusDetailsCodecBase):
    """`grpc-status-details-bin`. What clients send of theirs is not read."""

    def encode(self, status: Status, message: str | None, details: Sequence[Detail]) -> bytes:
        """The trailer's bytes. Details that have no room are left out, from the end."""
        answer = status_pb2.Status(code=status.value, message=(message or "")[:_DETAILS_LIMIT])
        room = _DETAILS_LIMIT
        for url, document in details or ():
            value = document if isinstance(document, bytes) else json.dumps(document).encode()
            room -= len(value)
            if room >= 0:
                answer.details.add(type_url=url, value=value)
        return answer.SerializeToString()

    def decode(self, status: Status, message: str | None, data: bytes) -> None:  # noqa: ARG002 - grpclib's signature
        """Nothing."""
        return


class _Adopted(asyncio.Protocol):
    """Carries a given connection to grpclib's protocol; `ended` is done when it is closed."""

    def __init__(self, inner: H2Protocol, pending: bytes, bucket: Bucket) -> None:
        self._inner = inner
        self._bucket = bucket
        self._pending = pending
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._inner.connection_made(transport)
        _bound(self._inner)
        if self._pending:
            self.data_received(self._pending)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            for at in range(0, len(data), _AT_ONCE):
                piece = data[at : at + _AT_ONCE]
                self._bucket.take(piece)
                self._inner.data_received(piece)
                if self._transport.get_write_buffer_size() > WRITTEN:
                    raise Flooded("it does not read what it asked for")
        except Flooded as error:
            _log.warning("a gRPC connection is broken off: %s", error)
            self.close()
        except NotImplementedError as error:
            # A frame that grpclib has no handler for.
            _log.debug("a gRPC peer sent %s", error)
        except Exception:  # noqa: BLE001
            # Whatever h2 trips over is the peer's doing, and the end of this connection alone.
            _log.warning("a gRPC connection is broken off", exc_info=True)
            self.close()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()


def _bound(protocol: H2Protocol) -> None:
    """Have streams refuse messages that are larger than MESSAGE_LIMIT before they are read."""
    create = protocol.connection.create_stream

    def bounded(**arguments: Any) -> RawStream:  # noqa: ANN401 - grpclib's own arguments, passed on
        stream = create(**arguments)
        receive = stream.recv_data

        async def recv_data(size: int) -> bytes:
            if size > MESSAGE_LIMIT:
                raise GRPCError(Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes: {MESSAGE_LIMIT} are allowed")
            return await receive(size)

        stream.recv_data = recv_data  # type: ignore[method-assign] # grpclib makes its streams itself
        return stream

    protocol.connection.create_stream = bounded  # type: ignore[method-assign]


class _Server(Server):
    """grpclib's server, of which only the protocol is wanted: the socket is there already."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        super().__init__([Services(handlers)], codec=ProtoCodec(), status_details_codec=Details())

    def protocol(self) -> H2Protocol:
        """For one connection."""
        return self._protocol_factory()


class Services:
    """What grpclib asks for its handlers."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)

    def __mapping__(self) -> dict[str, Handler]:
        return self._handlers


async def serve(sock: socket.socket, pending: bytes, handlers: Mapping[str, Handler]) -> None:
    """Answer calls on `sock`, which is ours from now on, until it is closed. Cancelled: it is closed."""
    adopted = _Adopted(_Server(handlers).protocol(), pending, Bucket(PREFACE))
    await asyncio.get_running_loop().connect_accepted_socket(lambda: adopted, sock)
    try:
        await adopted.ended
    finally:
        adopted.close()


class Caller(Channel):
    """Calls to the peer of a given connection. There is one connection and never another."""

    def __init__(self, sock: socket.socket, pending: bytes) -> None:
        """Takes over the socket with `connect`."""
        super().__init__("localhost", 0, codec=ProtoCodec(), status_details_codec=Details())
        self._sock = sock
        self._adopted = _Adopted(self._protocol_factory(), pending, Bucket())

    async def connect(self) -> None:
        """Begin. Raises OSError."""
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._adopted, self._sock)
        self._protocol = self._adopted._inner
        await self.__connect__()

    async def _create_connection(self) -> H2Protocol:
        if self._adopted.ended.done():
            raise ConnectionResetError("the client's session has ended")
        return self._adopted._inner

    @property
    def ended(self) -> "asyncio.Future[None]":
        """Done when the connection is closed."""
        return self._adopted.ended

    def break_off(self) -> None:
        """Close it at once: calls under way fail."""
        self._adopted.close()
