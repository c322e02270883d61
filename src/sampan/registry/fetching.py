"""One file from a web address, as `docker import URL` takes it: GET, a few redirects, bounded waits. No credentials at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError, System, Unauthorized
from sampan.registry.host import Host
from sampan.registry.transport import Answer, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from sampan.registry.settings import Settings

_REDIRECTS = 10
_MOVED = (301, 302, 303, 307, 308)
_BODY = 1 << 16
_TOLD = 1000
_KINDS: dict[int, type[SampanError]] = {400: InvalidParameter, 401: Unauthorized, 403: Forbidden, 404: NotFound}


class Fetched:
    """A body that is read once, as a file is. `size` is 0 where the server did not say.

    `unchanged`: there is none, for what was asked for is what `If-None-Match` named.
    """

    def __init__(self, answer: Answer, size: int) -> None:
        self._answer = answer
        self.size = size
        self.headers = answer.headers
        self.unchanged = answer.status == 304

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end. Raises System where it breaks off or stands still."""
        return self._answer.piece(size if size >= 0 else _BODY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._answer.close()


class Fetcher:
    """Fetches through the daemon's proxies, trusting the system's authorities. Any thread may use it."""

    def __init__(self, settings: Settings) -> None:
        self._transport = Transport(settings)

    def open(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Fetched:
        """What is at `url`. `method`: GET, or HEAD for what is said of it.

        Raises InvalidParameter for what is no web address, NotFound, Unauthorized, Forbidden, System.
        """
        asked = url
        for _ in range(_REDIRECTS + 1):
            answer = self._transport.send(_host_of(url), method, url, headers or {})
            target = answer.headers.get("Location", "") if answer.status in _MOVED else ""
            if not target:
                break
            answer.discard()
            try:
                url = urljoin(url, target)
            except ValueError as error:
                raise System(f'Get "{asked}": led to {target[:300]!r}: {error}') from error
        else:
            raise System(f'Get "{asked}": stopped after {_REDIRECTS} redirects')
        if answer.status != 200 and not (answer.status == 304 and headers):
            raise _refusal(asked, answer)
        length = answer.headers.get("Content-Length", "")
        return Fetched(answer, int(length) if length.isdecimal() and len(length) < 19 else 0)

    def close(self) -> None:
        """Close what is idle."""
        self._transport.close()


def _host_of(url: str) -> Host:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidParameter(f"invalid address {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidParameter(f"invalid address {url!r}: only http and https addresses can be fetched")
    if "@" in parts.netloc:
        raise InvalidParameter(
            "an address with a user name or password in it would be kept in the image; leave them out"
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Host(parts.scheme, f"{name}:{port}" if port else name, base="")


def _refusal(url: str, answer: Answer) -> SampanError:
    with answer:
        try:
            body = answer.read(_BODY).decode("utf-8", "replace").strip()[:_TOLD]
        except System:
            body = "error reading body"
    from http import HTTPStatus

    known = HTTPStatus(answer.status).phrase if answer.status in {each.value for each in HTTPStatus} else ""
    text = f"failed to GET {url} with status {answer.status} {known}: {body}"
    return _KINDS.get(answer.status, System)(text)
