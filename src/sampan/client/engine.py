"""A daemon as its clients see it: requests with the negotiated version, refusals as exceptions, hijacked connections."""

from __future__ import annotations

from sampan.client import documents
from sampan.client.failures import BrokenConversation, DaemonUnreachable, RefusedByDaemon
from sampan.client.http import Response, chunk, read_response, request_head
from sampan.client.wire import Wire, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sampan.client.address import Address
    from sampan.client.documents import Document, Json

    Query = Mapping[str, str | None]

NEWEST = (1, 51)
OLDEST = (1, 24)
PING_TIMEOUT = 5.0
USER_AGENT = "Sampan-Client/1.0 (linux)"
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quoted(text: str, safe: str = "") -> str:
    """`text` percent-encoded for a path or a query (urllib.parse costs 8 ms)."""
    allowed = _SAFE.union(safe.encode())
    return "".join(chr(byte) if byte in allowed else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def with_query(path: str, query: Query | None) -> str:
    """`path` with the parameters that have a value; None leaves one out."""
    pairs = [f"{quoted(key)}={quoted(value)}" for key, value in (query or {}).items() if value is not None]
    return path + ("&" if "?" in path else "?") + "&".join(pairs) if pairs else path


class Engine:
    """One daemon. Keeps one idle connection for short requests; streams and hijacked requests get their own.

    `version` is the API version in use: what `negotiate` agreed, or what the caller demands (DOCKER_API_VERSION).
    """

    def __init__(self, address: Address, version: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        self.address = address
        self.version = version
        self.daemon_version = ""
        self.os_type = "linux"
        self.is_sampan = False
        self._headers = [("User-Agent", USER_AGENT), *headers]
        self._idle: Wire | None = None
        self._pinged = False

    # ---- talking

    def ping(self, timeout: float = PING_TIMEOUT) -> None:
        """Ask what the daemon speaks, and agree on the lower of its newest version and ours (`negotiate` of any client).

        DaemonUnreachable when nobody answers within `timeout` seconds: a socket may accept with no daemon behind it.
        """
        wire = connect(self.address, timeout)
        wire.set_timeout(timeout)
        try:
            wire.send(request_head("HEAD", "/_ping", self.address.host_header, self._headers))
            answer = read_response(wire, to_head=True)
        except (BrokenConversation, DaemonUnreachable) as error:
            wire.close()
            raise DaemonUnreachable(
                f"Cannot connect to the Docker daemon at {self.address.text}. Is the docker daemon running?",
                silent=True,
            ) from error
        wire.set_timeout(None)
        self._pinged = True
        self.daemon_version = answer.headers.get("api-version", "") or "1.24"
        self.os_type = answer.headers.get("ostype", "") or "linux"
        self.is_sampan = answer.headers.get("server", "").startswith("Sampan")
        if not self.version:
            self.version = ".".join(map(str, min(NEWEST, _version(self.daemon_version))))
        if answer.headers.get("connection", "").lower() == "close":
            wire.close()
        else:
            self._idle = wire

    def at_least(self, version: str) -> bool:
        """Whether the agreed API version is `version` or newer."""
        return _version(self.version) >= _version(version)

    def call(self, method: str, path: str, query: Query | None = None, body: Json = None) -> Response:
        """One request with a JSON body or none; the head of the answer. RefusedByDaemon for a status of 400 or more.

        The body has to be read to the end before the next `call`; `fetch` and `order` do that.
        """
        headers, data = _json_body(body)
        for attempt in (0, 1):
            wire, fresh = self._take()
            try:
                wire.send(self._head(method, path, query, headers) + data)
                return self._checked(read_response(wire, to_head=method == "HEAD"))
            except BrokenConversation:
                wire.close()
                if fresh or attempt or method not in ("GET", "HEAD"):
                    raise  # a daemon may close an idle connection at any time; only what changes nothing is asked again
        raise AssertionError("unreachable")

    def fetch(self, path: str, query: Query | None = None, method: str = "GET", body: Json = None) -> Json:
        """The JSON that the daemon answers with."""
        answer = self.call(method, path, query, body)
        data = answer.read()
        self._give_back(answer)
        return documents.parse(data) if data.strip() else None

    def fetch_document(self, path: str, query: Query | None = None, method: str = "GET", body: Json = None) -> Document:
        """The JSON object that the daemon answers with."""
        value = self.fetch(path, query, method, body)
        if not isinstance(value, dict):
            raise BrokenConversation(f"the daemon answered {path} with something that is no object")
        return value

    def fetch_list(self, path: str, query: Query | None = None) -> list[Document]:
        """The list of JSON objects that the daemon answers with; null counts as empty."""
        value = self.fetch(path, query)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BrokenConversation(f"the daemon answered {path} with something that is no list")
        return [item for item in value if isinstance(item, dict)]

    def fetch_raw(self, path: str, query: Query | None = None) -> bytes:
        """The body as it came, for `inspect`, which prints it as it came."""
        answer = self.call("GET", path, query)
        data = answer.read()
        self._give_back(answer)
        return data

    def fetch_head(self, path: str, query: Query | None = None) -> Mapping[str, str]:
        """The header fields that the daemon answers a HEAD with, by lower-case name."""
        answer = self.call("HEAD", path, query)
        self._give_back(answer)
        return answer.headers

    def order(self, method: str, path: str, query: Query | None = None, body: Json = None) -> int:
        """A request whose answer's body does not matter; its status."""
        answer = self.call(method, path, query, body)
        answer.read()
        self._give_back(answer)
        return answer.status

    # ---- connections of their own

    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: Json = None,
    ) -> Response:
        """A request whose answer is read piece by piece. The caller closes `response.wire`."""
        return self.begin(method, path, query, headers, body)()

    def begin(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: Json = None,
    ) -> Pending:
        """Send a request on a connection of its own and do not wait: calling the result gives the checked answer."""
        more, data = _json_body(body)
        wire = connect(self.address)
        wire.send(self._head(method, path, query, [*more, *headers]) + data)
        return Pending(self, wire)

    def upload(
        self,
        path: str,
        query: Query | None,
        pieces: Iterable[bytes],
        headers: Iterable[tuple[str, str]] = (),
        method: str = "POST",
    ) -> Response:
        """Send a body of unknown length in chunks (`docker load`). The caller closes `response.wire`."""
        wire = connect(self.address)
        more = [("Content-Type", "application/x-tar"), ("Transfer-Encoding", "chunked"), *headers]
        wire.send(self._head(method, path, query, more))
        try:
            for piece in pieces:
                if piece:
                    wire.send(chunk(piece))
            wire.send(chunk(b""))
        except BrokenConversation:
            pass  # a daemon that refuses early answers and closes: the answer says why, if there is one
        except BaseException:
            wire.close()
            raise
        return self._checked(read_response(wire))

    # ---- inside

    def _head(self, method: str, path: str, query: Query | None, headers: Iterable[tuple[str, str]]) -> bytes:
        if not self.version:
            self.ping()
        target = with_query(f"/v{self.version}{path}", query)
        return request_head(method, target, self.address.host_header, [*self._headers, *headers])

    def _take(self) -> tuple[Wire, bool]:
        if not self.version and not self._pinged:
            self.ping()
        if self._idle is not None:
            wire, self._idle = self._idle, None
            return wire, False
        return connect(self.address), True

    def _give_back(self, answer: Response) -> None:
        if answer.reusable and self._idle is None:
            self._idle = answer.wire
        else:
            answer.wire.close()

    def _checked(self, answer: Response) -> Response:
        if answer.status < 400:
            return answer
        data = answer.read(1024 * 1024)
        self._give_back(answer)
        raise RefusedByDaemon(answer.status, _message(answer, data))

    def close(self) -> None:
        """Give the idle connection back."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None


class Pending:
    """A request that was sent; calling it reads the head of the answer, closing the wire when the daemon refused."""

    __slots__ = ("_engine", "wire")

    def __init__(self, engine: Engine, wire: Wire) -> None:
        self._engine = engine
        self.wire = wire

    def __call__(self) -> Response:
        """The answer's head; RefusedByDaemon for a status of 400 or more."""
        try:
            return self._engine._checked(read_response(self.wire))
        except BaseException:
            self.wire.close()
            raise


def _json_body(body: Json) -> tuple[list[tuple[str, str]], bytes]:
    if body is None:
        return [], b""
    data = documents.write(body).encode("utf-8", "surrogateescape")
    return [("Content-Type", "application/json"), ("Content-Length", str(len(data)))], data


def _message(answer: Response, data: bytes) -> str:
    if answer.headers.get("content-type", "").startswith("application/json"):
        try:
            message = documents.text_of(documents.document(data), "message")
        except documents.MalformedDocument:
            message = ""
        if message:
            return message.rstrip("\n")
    plain = str(data, "utf-8", "replace").strip()
    return plain or f"request returned HTTP status {answer.status} without a message"


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise BrokenConversation(f"the daemon names an API version {text[:20]!r} that is none")
    return int(major), int(minor)
