"""The rights that a plugin asks for, in Docker's words, and whether they are those that were granted. Pure."""

from collections.abc import Iterator, Sequence

from sampan.errors import System
from sampan.spec.plugins import PluginConfig, PluginPrivilege

_NO_RIGHT = ("", "null", "bridge")
"""Networks that are nothing to be granted."""


def asked(config: PluginConfig) -> tuple[PluginPrivilege, ...]:
    """What whoever installs the plugin has to grant."""
    return tuple(_asked(config))


def _asked(config: PluginConfig) -> Iterator[PluginPrivilege]:
    if config.network.type not in _NO_RIGHT:
        yield _right("network", "permissions to access a network", config.network.type)
    if config.ipc_host:
        yield _right("host ipc namespace", "allow access to host ipc namespace", "true")
    if config.pid_host:
        yield _right("host pid namespace", "allow access to host pid namespace", "true")
    for mount in config.mounts or ():
        if mount.source is not None:
            yield _right("mount", "host path to mount", mount.source)
    for device in config.linux.devices or ():
        if device.path is not None:
            yield _right("device", "host device to access", device.path)
    if config.linux.allow_all_devices:
        yield _right("allow-all-devices", "allow 'rwm' access to all devices", "true")
    if config.linux.capabilities:
        yield _right("capabilities", "list of additional capabilities required", *config.linux.capabilities)


def _right(name: str, description: str, *value: str) -> PluginPrivilege:
    return PluginPrivilege(name=name, description=description, value=value)


def check(config: PluginConfig, granted: Sequence[PluginPrivilege]) -> None:
    """Raise System, as Docker does, where other rights were granted than the plugin asks for: more, fewer or others."""
    if _compared(asked(config)) != _compared(granted):
        raise System("incorrect privileges")


def _compared(privileges: Sequence[PluginPrivilege]) -> list[tuple[str, list[str]]]:
    """In an order that does not depend on who wrote them."""
    return sorted((one.name, sorted(one.value or ())) for one in privileges)
