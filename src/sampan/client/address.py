"""Where a daemon listens: the host strings of `-H` and DOCKER_HOST, parsed as Docker does."""

from __future__ import annotations

from sampan.errors import InvalidParameter, NotImplementedHere

DEFAULT_SOCKET = "/run/sampan/sampan.sock"


class Tls:
    """Paths of the client's TLS material. `verify` is off only for Docker's bare `--tls`."""

    __slots__ = ("ca", "cert", "key", "server_name", "verify")

    def __init__(self, ca: str, cert: str, key: str, verify: bool, server_name: str = "") -> None:
        self.ca = ca
        self.cert = cert
        self.key = key
        self.verify = verify
        self.server_name = server_name


class Address:
    """One daemon's address. `scheme` is "unix" (then `path`) or "tcp" (then `host`, `port`, and perhaps `tls`)."""

    __slots__ = ("host", "path", "port", "scheme", "text", "tls")

    def __init__(self, text: str, scheme: str, path: str = "", host: str = "", port: int = 0) -> None:
        self.text = text
        self.scheme = scheme
        self.path = path
        self.host = host
        self.port = port
        self.tls: Tls | None = None

    @property
    def host_header(self) -> str:
        """What goes into the request's Host field. Go's servers refuse an empty one and a path."""
        return "api.sampan.invalid" if self.scheme == "unix" else f"{self.host}:{self.port}"


def parse_address(text: str, secure: bool = False) -> Address:
    """The address that `text` names: unix://PATH, a bare absolute path's scheme missing counts as tcp, as with Docker.

    Raises InvalidParameter for what is no address and NotImplementedHere for ssh://, fd:// and npipe://.
    """
    trimmed = text.strip()
    if not trimmed:
        return Address(f"unix://{DEFAULT_SOCKET}", "unix", path=DEFAULT_SOCKET)
    scheme, separator, rest = trimmed.partition("://")
    if not separator:
        scheme, rest = "tcp", trimmed
    if scheme == "unix":
        path = rest or DEFAULT_SOCKET
        return Address(f"unix://{path}", "unix", path=path)
    if scheme in ("tcp", "http", "https"):
        host, port = _host_and_port(text, rest, 2376 if secure else 2375)
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return Address(f"tcp://{shown}", "tcp", host=host, port=port)
    if scheme in ("ssh", "fd", "npipe"):
        raise NotImplementedHere(f"{scheme}:// addresses are not implemented; use unix:// or tcp://")
    raise InvalidParameter(f"invalid bind address format: {text}")


def _host_and_port(text: str, rest: str, default_port: int) -> tuple[str, int]:
    authority = rest.partition("/")[0]
    if authority.startswith("["):
        host, bracket, tail = authority[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise InvalidParameter(f"invalid bind address format: {text}")
        port = tail[1:]
    elif authority.count(":") > 1:
        raise InvalidParameter(f"invalid bind address format: {text}")
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidParameter(f"invalid bind address format: {text}")
    return host or "localhost", int(port) if port else default_port
