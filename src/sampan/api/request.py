"""One request as the routes see it."""

import ssl
from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from sampan.api.form import Form
from sampan.api.status import TooLarge
from sampan.api.versions import Version
from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader

JSON_LIMIT = 4 * 1024 * 1024
"""Bytes of a JSON body: an environment of two megabytes fits, escapes included."""

D = TypeVar("D")


class Body(Protocol):
    """Where the body's bytes come from: the connection."""

    @property
    def expected(self) -> bool:
        """Whether the head announced a body of at least one byte, or of unknown length."""
        ...

    async def next_chunk(self) -> bytes:
        """The next bytes, b"" at the end. Raises ConnectionError where the client left before it."""
        ...


class _Kept:
    """A body that was read already."""

    __slots__ = ("_rest", "expected")

    def __init__(self, raw: bytes, expected: bool) -> None:
        self._rest = raw
        self.expected = expected

    async def next_chunk(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest


class Request:
    """Method, path and fields of one request; the body is read at most once, whole or as a stream."""

    __slots__ = (
        *("_body", "_form", "caller", "follows", "headers", "id", "method", "name", "path", "query", "route", "tls"),
        "version",
    )

    def __init__(self, method: str, path: str, query: str, headers: dict[bytes, bytes], body: Body) -> None:
        self.method = method
        self.path = path
        """Decoded, without the version in front."""
        self.query = query
        self.headers = headers
        """By lower-case name."""
        self.id = ""
        """See `telemetry.request_id`."""
        self.version: Version = ()
        self.name = ""
        """What stood in the place of the route's variable."""
        self.route = ""
        """The route's path, as the table has it; "" where there is none."""
        self.follows = False
        """Whether there is nothing left to do for it once its client has gone."""
        self.caller: tuple[int, int] | None = None
        """User and group of the client's process; None over TCP."""
        self.tls: ssl.SSLObject | None = None
        """Of the client's connection, where it speaks TLS."""
        self._body = body
        self._form: Form | None = None

    @property
    def form(self) -> Form:
        """The query's fields."""
        if self._form is None:
            self._form = Form(self.query)
        return self._form

    @property
    def has_body(self) -> bool:
        """Whether a body comes with it."""
        return self._body.expected

    @property
    def upgrade(self) -> bool:
        """Whether the client asks for another protocol on this connection; which one does not matter, as in Docker."""
        return b"upgrade" in self.headers

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes. No more is read from the client than is taken here."""
        while chunk := await self._body.next_chunk():
            yield chunk

    async def read(self, limit: int = JSON_LIMIT) -> bytes:
        """The whole body; raises TooLarge beyond `limit` bytes."""
        parts = []
        size = 0
        while chunk := await self._body.next_chunk():
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"request body is larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def keep(self, limit: int) -> bytes:
        """The whole body, which can still be read afterwards. Raises TooLarge beyond `limit` bytes."""
        raw = await self.read(limit)
        self._body = _Kept(raw, self._body.expected)
        return raw

    @property
    def is_json(self) -> bool:
        """Whether its body says that it is JSON; `check_json` lets no other pass."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"

    def check_json(self) -> None:
        """Raise InvalidParameter where a body comes as something else than JSON."""
        given = self.headers.get(b"content-type", b"").decode("latin-1")
        if not given and not self.has_body:
            return
        if not given:
            raise InvalidParameter("malformed Content-Type header (): mime: no media type")
        if not self.is_json:
            raise InvalidParameter(f"unsupported Content-Type header ({given}): must be 'application/json'")

    async def json(self, reader: Reader[D], required: bool = False) -> D:
        """The body as a document. An empty one has only defaults, unless it is `required`."""
        self.check_json()
        raw = await self.read()
        if raw.strip():
            return reader.read(raw)
        if required or raw:
            raise InvalidParameter("invalid JSON: got EOF while reading request body")
        return reader.read(b"{}")
