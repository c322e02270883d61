"""The sockets on which the API is served: unix paths, TCP, and those that systemd or the launcher kept open."""

import errno
import grp
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from sampan.daemon.config import DaemonConfig, Tls
from sampan.errors import System

_BACKLOG = 512
_MODE = 0o660


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, non-blocking; `tls` is set for TCP with certificates. `host` is how the user wrote it."""

    sock: socket.socket
    host: str
    tls: ssl.SSLContext | None = None


def open_listeners(
    config: DaemonConfig, from_systemd: list[socket.socket], kept: list[socket.socket] | None = None
) -> list[Listener]:
    """A socket for each host of the configuration. Raises System, and then all of them are closed again.

    `kept` are unix sockets that outlived an earlier daemon: one that still stands at its path is used again, so that
    whoever has it bind-mounted keeps a working API; the others are closed.
    """
    known = _by_path(kept or [])
    context = _context(config.tls) if config.tls else None
    opened: list[Listener] = []
    try:
        for host in config.hosts:
            scheme, _, rest = host.partition("://")
            if scheme == "unix":
                sock = known.pop(rest) if rest in known else open_unix(Path(rest), config)
                opened.append(Listener(sock, host))
            elif scheme == "tcp":
                opened += [Listener(sock, host, context) for sock in _tcp(rest)]
            else:
                if not from_systemd:
                    raise System("no sockets found via socket activation: make sure the service was started by systemd")
                opened += [Listener(sock, host, _for(sock, context)) for sock in from_systemd]
    except BaseException:
        for listener in opened:
            listener.sock.close()
        raise
    for sock in known.values():
        sock.close()
    for listener in opened:
        listener.sock.setblocking(False)
    return opened


def open_metrics(address: str) -> list[socket.socket]:
    """The sockets of `metrics-addr`, HOST:PORT. Raises System."""
    opened = _tcp(address)
    for sock in opened:
        sock.setblocking(False)
    return opened


def _by_path(kept: list[socket.socket]) -> dict[str, socket.socket]:
    """Kept sockets by the path at which they still stand."""
    found: dict[str, socket.socket] = {}
    for sock in kept:
        path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
        if isinstance(path, str) and path and Path(path).is_socket() and path not in found:
            found[path] = sock
        else:
            sock.close()
    return found


def _for(sock: socket.socket, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    return None if sock.family == socket.AF_UNIX else context


def open_unix(path: Path, config: DaemonConfig) -> socket.socket:
    """A listening socket at `path`, for root and the configuration's group. Raises System."""
    group = _group_id(config)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.is_socket():
            _refuse_live(path)
            path.unlink()
        # The umask closes the moment between bind and chmod, in which others could connect.
        mode = _MODE & ~0o077 if config.rootless else _MODE
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        os.chown(path, 0, group)
        os.chmod(path, mode)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise System(f"can't create unix socket {path}: {error.strerror or error}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _refuse_live(path: Path) -> None:
    """A socket file that nobody listens on is left over; one that answers is another program's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT):
            raise System(f"can't create unix socket {path}: another program listens on it")


def _group_id(config: DaemonConfig) -> int:
    if config.group.isdecimal():
        return int(config.group)
    if not config.group:
        return 0
    try:
        return grp.getgrnam(config.group).gr_gid
    except KeyError as error:
        if config.group_given:
            raise System(f"group {config.group} not found") from error
        return 0


def _tcp(address: str) -> list[socket.socket]:
    name, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            name.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise System(f"failed to load listeners: tcp://{address}: {error.strerror}") from error
    opened = []
    try:
        for family, kind, protocol, _, where in found:
            sock = socket.socket(family, kind, protocol)
            opened.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(where)
            sock.listen(_BACKLOG)
    except OSError as error:
        for sock in opened:
            sock.close()
        raise System(f"failed to load listeners: listen tcp {address}: {error.strerror}") from error
    return opened


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert, tls.key)
        if tls.verify:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise System(f"could not load TLS certificates ({tls.ca}, {tls.cert}, {tls.key}): {error}") from error
    return context
