"""Keeps web pages out of an API on TCP (CVE-2025-9074, DNS rebinding).

A page in a browser can send requests to an address on the loopback; the browser then says so in Origin, and names the
page's own host in Host. Programs that speak to Docker send no Origin and the address they were given; but libraries for
websockets send one that names the daemon itself, which no page can: the daemon serves none.
"""

import ipaddress
import socket

from sampan.api.responses import Response, json_response


class Origins:
    """Which requests may come over TCP. `names` are host names, beside the machine's own, that clients may use."""

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self._names = names | {"localhost", socket.gethostname().lower()}

    def refuse(self, headers: dict[bytes, bytes]) -> Response | None:
        """The answer to a request that a web page sent; None for any other."""
        foreign = b"origin" in headers and not _is_own_websocket(headers)
        if foreign or headers.get(b"sec-fetch-site", b"none") != b"none":
            return json_response({"message": "requests from web pages are refused"}, 403)
        host = _host(headers.get(b"host", b"").decode("latin-1").lower())
        if host in self._names or host.endswith(".localhost") or _is_address(host):
            return None
        return json_response({"message": f"host {host!r} is not a name of this daemon"}, 403)


def _is_own_websocket(headers: dict[bytes, bytes]) -> bool:
    """A handshake whose Origin is the host that it was sent to; the name of that host is judged apart."""
    scheme, _, authority = headers[b"origin"].lower().partition(b"://")
    own = scheme in (b"http", b"https") and authority == headers.get(b"host", b"").lower()
    return own and headers.get(b"upgrade", b"").lower() == b"websocket"


def _host(value: str) -> str:
    """The host without its port; `[::1]:2375` → `::1`."""
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
