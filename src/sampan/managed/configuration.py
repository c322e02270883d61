"""A plugin's `config.json`: read, and checked for what would reach out of the plugin.

Docker checks nothing here. What is refused below never worked there either, or worked as a way out: a socket `../../x` is joined
to the engine's own directory, and connected to.
"""

import re

from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader
from sampan.spec.document import encode
from sampan.spec.plugins import PluginConfig

MEDIA_TYPE = "application/vnd.docker.plugin.v1+json"
"""Of the configuration in a plugin's manifest: what tells a plugin from an image."""
LIMIT = 1 << 20
"""Bytes of a configuration."""
SOCKETS = "/run/docker/plugins"
"""Where a plugin makes its socket, inside."""
METRICS = "/run/docker/metrics.sock"
"""Where one that collects metrics finds the daemon's, inside."""

_KINDS = {
    kind.lower(): kind
    for kind in ("VolumeDriver", "NetworkDriver", "IpamDriver", "LogDriver", "authz", "MetricsCollector", "GraphDriver")
}

_READER = Reader(PluginConfig)
_SOCKET = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,8}/[A-Za-z0-9_.-]{1,32}")


def read(data: bytes) -> PluginConfig:
    """The configuration in `data`. Raises InvalidParameter for what is none, or cannot be run."""
    if len(data) > LIMIT:
        raise InvalidParameter(f"the plugin's configuration is larger than {LIMIT} bytes")
    if not data.lstrip().startswith(b"{"):
        raise InvalidParameter("failed to parse config: it is no JSON object")
    config = _READER.read(data)
    _check(config)
    return config


def _check(config: PluginConfig) -> None:
    if b"\\u0000" in encode(config):
        raise InvalidParameter("the plugin's configuration contains a NUL character")
    if not config.entrypoint or not config.entrypoint[0]:
        raise InvalidParameter("the plugin's configuration has no entrypoint")
    socket = config.interface.socket
    if not _SOCKET.fullmatch(socket) or socket in (".", ".."):
        raise InvalidParameter(f"the plugin's socket {socket[:80]!r} is not the name of a file below {SOCKETS}")
    for kind in config.interface.types or ():
        if not _TYPE.fullmatch(kind):
            raise InvalidParameter(f"the plugin's interface type {kind[:80]!r} is not PREFIX.CAPABILITY/VERSION")
    place = config.propagated_mount
    if place and (not place.startswith("/") or set(place.split("/")) & {".", ".."} or not place.strip("/")):
        raise InvalidParameter(f"the plugin's propagated mount {place[:80]!r} is not an absolute path below its root")
    if config.work_dir and not config.work_dir.startswith("/"):
        raise InvalidParameter(f"the plugin's working directory {config.work_dir[:80]!r} is not an absolute path")


def capability(kind: str) -> str:
    """`volumedriver` of `docker.volumedriver/1.0`; "" for a type that is not Docker's."""
    name = kind.partition("/")[0]
    prefix, _, last = name.rpartition(".")
    return last.lower() if prefix == "docker" else ""


def capabilities(config: PluginConfig) -> tuple[str, ...]:
    """What the plugin implements of Docker's interfaces, in lower case."""
    return tuple(found for kind in config.interface.types or () if (found := capability(kind)))


def implements(config: PluginConfig) -> tuple[str, ...]:
    """The same by the names that plugins tell when they are activated, which managed ones are not."""
    return tuple(_KINDS[found] for found in capabilities(config) if found in _KINDS)


def collects_metrics(config: PluginConfig) -> bool:
    """Whether the plugin is given the daemon's metrics."""
    return "metricscollector" in capabilities(config)
