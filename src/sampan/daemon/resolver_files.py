"""The host's files on names, read for the containers': /etc/hosts and resolv.conf."""

import os

from sampan.network import resolvconf

_FILE_LIMIT = 256 * 1024
_known: dict[str, tuple[tuple[int, int, int], resolvconf.Resolver]] = {}


def host_resolver(own_loopback: bool) -> resolvconf.Resolver:
    """The host's resolver: where systemd-resolved's stub is all that the file names, the real one, unless loopback is shared."""
    found = _resolver(resolvconf.HOST_FILE)
    return _resolver(resolvconf.RESOLVED_FILE) if own_loopback and resolvconf.uses_stub(found) else found


def _resolver(path: str) -> resolvconf.Resolver:
    """A resolv.conf of the host, parsed once for as long as it stays as it is."""
    try:
        found = os.stat(path)
    except OSError:
        return resolvconf.parse("")
    stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
    known = _known.get(path)
    if known is None or known[0] != stamp:
        known = _known[path] = (stamp, resolvconf.parse(read(path)))
    return known[1]


def read(path: str) -> str:
    """A file of the host; empty where it is missing. Bounded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _FILE_LIMIT).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
