"""Requests to one host on behalf of one user: first contact, authorization, redirects, and another try after a while.

connect() ──▶ GET /v2/ ──▶ the challenge          an insecure host: TLS first, then clear text
ask()     ──▶ send ──▶ 401? authorize, once more ──▶ 3xx? follow ──▶ 429, 5xx, broken off? wait, again
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

from sampan.registry import limits
from sampan.registry.challenges import Challenge, parse_challenges
from sampan.registry.faults import Refused, Unreachable, Untrustworthy, refusal
from sampan.registry.host import Host
from sampan.registry.means import Means
from sampan.registry.protocol import Credentials
from sampan.registry.proxying import split
from sampan.registry.transport import Answer, Body

_log = logging.getLogger("sampan.registry")
ERROR_LIMIT = 1 << 20
_REDIRECTS = 10
_AGAIN = frozenset((429, 500, 502, 503, 504))
_REPEATABLE = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE"))


class Conversation:
    """With one host. Any thread may ask."""

    def __init__(self, means: Means, host: Host, credentials: Credentials, greeting: str = "/") -> None:
        self.host = host
        self._greeting = greeting
        self._means = means
        self._credentials = credentials
        self._challenges: tuple[Challenge, ...] = ()
        self._connected = False
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Make the first contact, once, where there is a greeting. Raises Unreachable: `Get "https://…/v2/": why`."""
        with self._lock:
            if self._connected or not self._greeting:
                return
            try:
                self._ping(self.host)
            except Unreachable as error:
                falls_back = self.host.insecure and self.host.scheme == "https"
                if not falls_back or self.host.address in self._means.tls_seen:
                    raise
                _log.info("%s; it is insecure by configuration: trying clear text", error)
                self.host = self.host.in_clear_text()
                try:
                    self._ping(self.host)
                except Unreachable as second:
                    second.by_tls = str(error)
                    raise
            self._connected = True

    def _ping(self, host: Host) -> None:
        with self._patiently(
            "GET", lambda: self._send(host, "GET", host.url + self._greeting, dict(host.headers), None)
        ) as answer:
            self._learn(answer)
        if host.scheme == "https":
            self._means.tls_seen.add(host.address)

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """What the host last asked for."""
        return self._challenges

    def _learn(self, answer: Answer) -> None:
        if answer.status == 401:
            self._challenges = parse_challenges(answer.all("WWW-Authenticate"))

    def ask(
        self,
        method: str,
        url: str,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Answer:
        """Send a request to `url` (below the host's, or what the host gave as a Location), and see it through.

        Any status but those of redirects comes back. Raises Unreachable, Untrustworthy, and Refused by the token's realm.
        """
        self.connect()
        url = url if "://" in url else self.host.url + url
        return self._patiently(method, lambda: self._authorized(method, url, scopes, headers or {}, body))

    def demand(
        self,
        method: str,
        url: str,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        expected: tuple[int, ...] = (200,),
    ) -> Answer:
        """As `ask`; raises Refused for every status that is not `expected`."""
        answer = self.ask(method, url, scopes, headers, body)
        if answer.status in expected:
            return answer
        raise told_by(answer)

    # ---- one request

    def _authorized(
        self, method: str, url: str, scopes: tuple[str, ...], headers: Mapping[str, str], body: Body
    ) -> Answer:
        place = self._place(url)
        answer = self._send(place, method, url, {**headers, **self._own_headers(place, method, url, scopes)}, body)
        if answer.status != 401 or place is not self.host or not isinstance(body, bytes | None):
            return answer
        challenges = parse_challenges(answer.all("WWW-Authenticate"))
        if not any(challenge.scheme == "bearer" for challenge in challenges) and self._challenges:
            return answer
        answer.discard()
        self._challenges = challenges
        renewed = self._own_headers(place, method, url, scopes, renew=True)
        return self._send(place, method, url, {**headers, **renewed}, body)

    def _place(self, url: str) -> Host:
        """Whom a URL leads to. The host itself keeps its trust; elsewhere nothing of it counts."""
        scheme, address = _split(url)
        if scheme == self.host.scheme and _same(scheme, address, self.host.address):
            return self.host
        if scheme == "http" and not self.host.insecure:
            raise Untrustworthy(f"{self.host.origin} leads to {url[:300]!r}: refused, for it is in clear text")
        return self._means.hosts.led_to(self.host, scheme, address)

    def _own_headers(
        self, place: Host, method: str, url: str, scopes: tuple[str, ...], renew: bool = False
    ) -> dict[str, str]:
        """Credentials and configured headers: for the host itself and nobody else."""
        if place is not self.host:
            return {}
        try:
            value = self._means.authorizer.header(place, self._challenges, scopes, self._credentials, renew)
        except Refused as error:
            raise type(error)(f'{method.capitalize()} "{url}": {error}', error.status, error.faults) from error
        except Untrustworthy as error:
            raise Untrustworthy(f'{method.capitalize()} "{url}": {error}') from error
        return {**dict(place.headers), **({"Authorization": value} if value else {})}

    def _send(self, place: Host, method: str, url: str, headers: Mapping[str, str], body: Body) -> Answer:
        answer = self._means.transport.send(place, method, url, headers, body)
        for _ in range(_REDIRECTS):
            try:
                target = _redirected(answer, method)
            except Untrustworthy:
                answer.close()
                raise
            if not target:
                return answer
            answer.discard()
            following = self._place(target)
            if following is not place:
                headers = {name: value for name, value in headers.items() if name in ("Accept", "Range")}
            place, url = following, target
            answer = self._means.transport.send(place, method, url, headers, body)
        answer.close()
        raise Untrustworthy(f'{method.capitalize()} "{url}": stopped after {_REDIRECTS} redirects')

    # ---- patience

    def _patiently(self, method: str, send: Callable[[], Answer]) -> Answer:
        patience = self._means.patience
        attempts = patience.attempts if method in _REPEATABLE else 1
        pause = patience.pause
        until = time.monotonic() + patience.document
        for _ in range(attempts - 1):
            try:
                answer = send()
            except Unreachable as error:
                if not error.late or time.monotonic() > until:
                    raise
                _log.info("%s: trying again", error)
                wait = pause
            else:
                if answer.status not in _AGAIN:
                    return answer
                asked = retry_after(answer.headers.get("Retry-After", ""))
                if asked > patience.longest_pause or time.monotonic() > until:
                    return answer
                answer.discard()
                wait = max(pause, asked)
                _log.info("%s: %d, trying again in %.0f seconds", answer.request, answer.status, wait)
            time.sleep(wait * (1 + os.urandom(1)[0] / 1024))
            pause = min(pause * 2, patience.longest_pause)
        return send()


def told_by(answer: Answer) -> Refused:
    """What an answer that was not asked for says; its body is read."""
    with answer:
        body = answer.read(ERROR_LIMIT) if answer.status < 500 else b""
    refused = refusal(answer.status, parse_challenges(answer.all("WWW-Authenticate")), body)
    if answer.status == 429:
        _log.warning("%s: %s", answer.request, refused)
        more = limits.about_refusal(answer.headers, retry_after(answer.headers.get("Retry-After", "")))
        if more:
            return Refused(f"{refused} ({more})", refused.status, refused.faults)
    return refused


def retry_after(text: str) -> float:
    """Seconds of a Retry-After; 0 where there is none. A date counts from now; nonsense counts as none."""
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _redirected(answer: Answer, method: str) -> str:
    """Where a redirect leads, or ""."""
    if answer.status not in (301, 302, 303, 307, 308):
        return ""
    location = answer.headers.get("Location", "")
    if method not in ("GET", "HEAD") or not location:
        raise Untrustworthy(f"{answer.request}: received unexpected HTTP status: {answer.status} (a redirect)")
    return resolved(answer.url, location)


def resolved(base: str, location: str) -> str:
    """A Location as a whole URL. Raises Untrustworthy where it is none that can be asked."""
    try:
        url = urljoin(base, location)
        _split(url)
    except ValueError as error:
        raise Untrustworthy(f"{base} leads to {location[:300]!r}: {error}") from error
    return url


def _same(scheme: str, address: str, other: str) -> bool:
    """Whether two addresses are one, the scheme's own port being written out or not."""
    port = "443" if scheme == "https" else "80"
    return split(address, port) == split(other, port)


def _split(url: str) -> tuple[str, str]:
    """Scheme and address. Raises ValueError for what is no address on the web; names and passwords in it are refused."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        raise ValueError("not an address of http or https")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not a URL")
    _ = parts.port
    return parts.scheme, parts.netloc.lower()
