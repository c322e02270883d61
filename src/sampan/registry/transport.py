"""One HTTP request to one place, over urllib3: connections kept, TLS, proxies, time-outs, bounded answers. No redirects, no
retries and no credentials: those are the conversation's.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, Self

from sampan.registry import trust
from sampan.registry.faults import Unreachable, Untrustworthy
from sampan.registry.proxying import proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import urllib3

    from sampan.registry.host import Host, Trust
    from sampan.registry.settings import Settings

CONNECTIONS = 8
"""kept for one place"""
_PIECE = 64 * 1024
_SENT = 256 * 1024
"""bytes of a body that are read and sent at a time"""


class Source(Protocol):
    """A body that is read as it is sent."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, b"" at the end."""
        ...


Body = bytes | Source | None


class Answer:
    """Status, headers and a body that is read at most once. Give it back by reading it to its end, or close it."""

    __slots__ = ("_deadline", "_response", "headers", "request", "status", "url")

    def __init__(self, response: urllib3.BaseHTTPResponse, request: str, url: str, deadline: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.request = request
        """`Get "https://host/v2/"`: how an error begins"""
        self.url = url
        self._response = response
        self._deadline = deadline

    def all(self, name: str) -> list[str]:
        """Every line of that header."""
        return list(self._response.headers.getlist(name))

    def read(self, limit: int) -> bytes:
        """The whole body. Raises Untrustworthy beyond `limit` bytes, Unreachable where it breaks off or takes too long."""
        parts = []
        size = 0
        while piece := self.piece(_PIECE):
            size += len(piece)
            if size > limit:
                self.close()
                raise Untrustworthy(f"{self.request}: the answer is larger than {limit} bytes")
            if time.monotonic() > self._deadline:
                self.close()
                raise Unreachable(f"{self.request}: context deadline exceeded while reading body", late=True)
            parts.append(piece)
        return b"".join(parts)

    def piece(self, size: int) -> bytes:
        """Some bytes of the body, at most `size`; b"" at its end. Raises Unreachable where it breaks off or stands still."""
        import urllib3

        from sampan.registry.words import why

        try:
            return self._response.read1(size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self.close()
            raise Unreachable(f"{self.request}: {why(error)}", late=True) from error

    def discard(self) -> None:
        """Done with it: a short rest is read so that the connection can be used again."""
        left = self._response.length_remaining
        if not self._response.closed and left is not None and 0 <= left < _PIECE:
            try:
                self.read(_PIECE)
            except (Unreachable, Untrustworthy):
                return
            self._response.release_conn()
            return
        self.close()

    def close(self) -> None:
        """Give it up, and its connection with it."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


class Transport:
    """Connections to everywhere. Any thread may use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = False
        self._pools: dict[tuple[Trust, str], urllib3.PoolManager] = {}

    def send(self, host: Host, method: str, url: str, headers: Mapping[str, str], body: Body = None) -> Answer:
        """The answer's head. `url` is whole, and within `host`. Raises Unreachable."""
        import urllib3

        from sampan.registry.words import why

        if self._closed:
            raise Unreachable("the daemon is ending")
        patience = self._settings.patience
        request = f'{method.capitalize()} "{url}"'
        deadline = time.monotonic() + patience.document
        try:
            response = self._pool(host).request(
                method,
                url,
                body=body,  # type: ignore[arg-type] # urllib3 wants an IO and calls nothing but read
                headers={"User-Agent": self._settings.user_agent, "Accept-Encoding": "identity", **headers},
                timeout=urllib3.Timeout(connect=patience.connect, read=patience.idle),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{request}: {why(error)}", late=_may_come(error)) from error
        return Answer(response, request, url, deadline)

    def _pool(self, host: Host) -> urllib3.PoolManager:
        proxy = proxy_for(self._settings.proxies, host.scheme, host.address)
        with self._lock:
            found = self._pools.get((host.trust, proxy))
            if found is None:
                found = self._pools[(host.trust, proxy)] = _make_pool(
                    host.trust, proxy, self._settings.patience.document
                )
            return found

    def close(self) -> None:
        """Close what is idle, and begin nothing any more."""
        self._closed = True
        self.forget_idle()

    def forget_idle(self) -> None:
        """Close what is idle."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()


def _make_pool(trusted: Trust, proxy: str, head_seconds: float) -> urllib3.PoolManager:
    import urllib3

    from sampan.registry import heads

    # Whoever made a registry insecure knows it; a warning for each request would only fill the log.
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    context = trust.context(trusted)
    reqs = "CERT_REQUIRED" if trusted.verify else "CERT_NONE"
    made: urllib3.PoolManager
    if proxy:
        address = urllib3.util.parse_url(proxy)
        headers = urllib3.make_headers(proxy_basic_auth=address.auth) if address.auth else None
        made = urllib3.ProxyManager(
            proxy, proxy_headers=headers, ssl_context=context, cert_reqs=reqs, maxsize=CONNECTIONS, blocksize=_SENT
        )
    else:
        made = urllib3.PoolManager(ssl_context=context, cert_reqs=reqs, maxsize=CONNECTIONS, blocksize=_SENT)
    heads.watch(made, head_seconds)
    return made


def _may_come(error: Exception) -> bool:
    """Whether asking again may help: not where nobody listens, no such name is known, or there is no trust."""
    import urllib3

    return not isinstance(
        error,
        urllib3.exceptions.NewConnectionError
        | urllib3.exceptions.SSLError
        | urllib3.exceptions.ProxyError
        | urllib3.exceptions.ConnectTimeoutError,
    )
