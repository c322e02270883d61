"""Who we are to a registry: the `Authorization` of a request, by the challenge that the registry gave.

    no challenge ──▶ nothing        Basic ──▶ name and password        Bearer ──▶ a token from its realm, kept until it ends

Credentials belong to one host. They go there, and to the realm that this host names, by TLS alone unless the configuration
calls the host insecure. Source: distribution's docs/spec/auth/token.md and oauth.md.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import msgspec

from sampan.registry.challenges import Challenge, parse_challenges
from sampan.registry.faults import Refused, Untrustworthy, refusal
from sampan.registry.host import Host
from sampan.registry.hosts import Hosts
from sampan.registry.protocol import Credentials
from sampan.registry.transport import Answer, Transport

CLIENT_ID = "docker"
NOBODY = Credentials()
_LIMIT = 1 << 20
_SHORTEST = 60.0
"""seconds that a token is good for where it does not say (the specification's figure), or says less"""
_LEEWAY = 10.0
_KEPT = 1000


class NoCredentials(Refused):
    """The registry wants a name and a password, and there are none for it."""


@dataclass(frozen=True, slots=True)
class _Key:
    realm: str
    service: str
    scopes: tuple[str, ...]
    host: str
    credentials: Credentials


class _Token(msgspec.Struct, frozen=True):
    """What a realm answers; both names of the token are in use."""

    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None


_decoder = msgspec.json.Decoder(_Token)


class Authorizer:
    """Makes the header. Tokens are kept by host, realm, scopes and credentials; any thread may ask."""

    def __init__(self, transport: Transport, hosts: Hosts) -> None:
        self._transport = transport
        self._hosts = hosts
        self._lock = threading.Lock()
        self._tokens: dict[_Key, tuple[str, float]] = {}

    def header(
        self,
        host: Host,
        challenges: tuple[Challenge, ...],
        scopes: Iterable[str],
        credentials: Credentials,
        renew: bool = False,
    ) -> str:
        """The value of `Authorization` for `host`, "" for none. `renew`: what is kept was turned away just now.

        Raises NoCredentials, Refused by the realm, Untrustworthy for a realm that credentials must not go to.
        """
        if not host.own:
            credentials = NOBODY
        if credentials.registry_token:
            return f"Bearer {credentials.registry_token}"
        for challenge in challenges:
            if challenge.scheme == "bearer":
                return f"Bearer {self._token(host, challenge, tuple(scopes), credentials, renew)}"
            if challenge.scheme == "basic":
                return basic(credentials)
        return ""

    def _token(
        self, host: Host, challenge: Challenge, scopes: tuple[str, ...], credentials: Credentials, renew: bool
    ) -> str:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        key = _Key(realm, service, scopes, host.origin, credentials)
        with self._lock:
            token, until = self._tokens.get(key, ("", 0.0))
        if token and not renew and time.monotonic() < until:
            return token
        got = self.fetch(host, challenge, scopes, credentials)
        token = _text(got)
        until = time.monotonic() + max(got.expires_in or 0.0, _SHORTEST) - _LEEWAY
        with self._lock:
            if len(self._tokens) >= _KEPT:
                self._tokens.clear()
            self._tokens[key] = (token, until)
        return token

    def fetch(
        self,
        host: Host,
        challenge: Challenge,
        scopes: tuple[str, ...],
        credentials: Credentials,
        offline: bool = False,
    ) -> _Token:
        """A new token. `offline` asks for an identity token too (a login)."""
        realm, place = self._place(host, challenge.parameters.get("realm", ""))
        service = challenge.parameters.get("service", "")
        if credentials.identity_token:
            answer = self._by_identity(place, realm, service, scopes, credentials)
        else:
            answer = self._by_name(place, realm, service, scopes, credentials, offline)
        with answer:
            body = answer.read(_LIMIT)
        if answer.status != 200:
            raise refusal(answer.status, parse_challenges(answer.all("WWW-Authenticate")), body)
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Untrustworthy(f"unable to decode token response: {error}") from error

    def _by_name(
        self, place: Host, realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials, offline: bool
    ) -> Answer:
        """`GET realm?service=…&scope=…`, with name and password where there are some."""
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if offline:
            query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
        headers = {}
        if credentials.username and credentials.password:
            query.append(("account", credentials.username))
            headers["Authorization"] = basic(credentials)
        separator = "&" if "?" in realm else "?"
        url = realm + separator + urlencode(sorted(query)) if query else realm
        return self._transport.send(place, "GET", url, headers)

    def _by_identity(
        self, place: Host, realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials
    ) -> Answer:
        """OAuth 2: `POST realm` with the identity token."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "service": service,
            "client_id": CLIENT_ID,
        }
        if scopes:
            form["scope"] = " ".join(scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._transport.send(place, "POST", realm, headers, urlencode(form).encode())

    def _place(self, host: Host, realm: str) -> tuple[str, Host]:
        """The realm's URL and host. A realm elsewhere is trusted as that place is, not as the registry."""
        try:
            parts = urlsplit(realm)
            address = parts.netloc.rpartition("@")[2].lower()
        except ValueError as error:
            raise Untrustworthy(f"invalid token auth challenge realm: {error}") from error
        if parts.scheme not in ("http", "https") or not address or not realm.isascii() or not realm.isprintable():
            raise Untrustworthy(f"invalid token auth challenge realm: {realm[:200]!r}")
        if parts.scheme == "http" and not host.insecure:
            raise Untrustworthy(
                f"{host.origin} asks for credentials at {realm[:200]!r}, in clear text: refused, for the registry is not "
                "in insecure-registries"
            )
        if address == host.address:
            return realm, Host(parts.scheme, address, trust=host.trust, insecure=host.insecure)
        place = self._hosts.led_to(host, parts.scheme, address)
        return realm.replace(parts.netloc, address, 1), place


def basic(credentials: Credentials) -> str:
    """The header for name and password. Raises NoCredentials, as Docker words it."""
    if not credentials.username or not credentials.password:
        raise NoCredentials("no basic auth credentials", 401)
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {b64encode(pair).decode('ascii')}"


def _text(got: _Token) -> str:
    token = got.token or got.access_token or ""
    if not token:
        raise Untrustworthy("authorization server did not include a token in the response")
    if not token.isascii() or not token.isprintable():
        raise Untrustworthy("the authorization server's token is no header's value")
    return token
