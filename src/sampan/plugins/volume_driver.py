"""A volume driver that is a plugin: what Docker's VolumeDriver protocol asks of it.

Source: Docker's "Volume plugin protocol"; time-outs as in moby's volume/drivers.
"""

import os
from typing import Any

from sampan.files.root import SafeRoot
from sampan.plugins.faults import PluginBroke, PluginFailed, PluginRefused
from sampan.plugins.places import Address
from sampan.plugins.plugin import RETRY_SECONDS, Nothing, Plugin, Reply
from sampan.spec.document import Document, sent, wire

KIND = "VolumeDriver"
LONG = 120.0
SHORT = 60.0
_LIST_LIMIT = 16 << 20
_DEEPEST = 256


class _Name(Document, frozen=True):
    name: str = sent("")


class _Create(Document, frozen=True):
    name: str = sent("")
    opts: dict[str, str] | None = sent(None)


class _Mount(Document, frozen=True, rename=wire(id="ID")):
    """`id` tells one use from another: a plugin counts them."""

    name: str = sent("")
    id: str = sent("")


class PluginVolume(Document, frozen=True):
    """A volume as its plugin tells of it; all of it may be empty. `status` is for people."""

    name: str = ""
    mountpoint: str = ""
    created_at: str = ""
    status: dict[str, Any] | None = None


class _Mountpoint(Reply, frozen=True):
    mountpoint: str = ""


class _Got(Reply, frozen=True):
    volume: PluginVolume | None = None


class _Listed(Reply, frozen=True):
    volumes: tuple[PluginVolume | None, ...] = ()


class _Capability(Document, frozen=True):
    scope: str = ""


class _Capabilities(Reply, frozen=True):
    capabilities: _Capability = _Capability()


ANSWERS: tuple[type[Reply], ...] = (_Mountpoint, _Got, _Listed, _Capabilities)
"""All that have members."""


class VolumeDriver:
    """Calls of one plugin. All raise `faults.PluginFailed`; `patience` is `Plugin.call`'s."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self.name = plugin.name

    async def create(self, name: str, options: dict[str, str]) -> None:
        """Make the volume."""
        await self._plugin.call("VolumeDriver.Create", _Create(name, options or None), Nothing, seconds=LONG)

    async def remove(self, name: str, *, patience: float = RETRY_SECONDS) -> None:
        """Remove it and what is in it."""
        await self._plugin.call("VolumeDriver.Remove", _Name(name), Nothing, seconds=SHORT, patience=patience)

    async def get(self, name: str, *, patience: float = 0.0) -> PluginVolume:
        """The volume. Raises PluginRefused, also where the plugin answers nothing, which is how some say that there is none."""
        answer = await self._plugin.call("VolumeDriver.Get", _Name(name), _Got, seconds=SHORT, patience=patience)
        if answer.volume is None:
            raise PluginRefused("no such volume", 404)
        return answer.volume

    async def list(self) -> list[PluginVolume]:
        """All it has, those without a name left out. Not waited for where it is away."""
        answer = await self._plugin.call(
            "VolumeDriver.List", None, _Listed, seconds=SHORT, patience=0.0, limit=_LIST_LIMIT
        )
        return [volume for volume in answer.volumes if volume is not None and volume.name]

    async def path(self, name: str) -> str:
        """Where it is mounted, "" where it is not. As in Docker a fault is no more than that."""
        try:
            answer = await self._plugin.call("VolumeDriver.Path", _Name(name), _Mountpoint, seconds=SHORT, patience=0.0)
        except PluginFailed:
            return ""
        return answer.mountpoint

    async def mount(self, name: str, use: str) -> str:
        """Mount it for one use; the path as the plugin says it, not judged (`open_mountpoint`)."""
        answer = await self._plugin.call("VolumeDriver.Mount", _Mount(name, use), _Mountpoint, seconds=LONG)
        return answer.mountpoint

    async def unmount(self, name: str, use: str, *, patience: float = RETRY_SECONDS) -> None:
        """That use has ended."""
        await self._plugin.call("VolumeDriver.Unmount", _Mount(name, use), Nothing, seconds=SHORT, patience=patience)

    async def scope(self) -> str:
        """`global` where its volumes are the same on all machines, else `local`; "" where it does not say."""
        try:
            answer = await self._plugin.call(
                "VolumeDriver.Capabilities", None, _Capabilities, seconds=SHORT, patience=0.0
            )
        except PluginFailed:
            return ""
        return "global" if answer.capabilities.scope.lower() == "global" else "local"


def open_mountpoint(path: str, secret: tuple[str, ...], plugin: Address) -> int:
    """A descriptor (O_PATH) of what a plugin says is a volume's place; the caller closes it.

    `secret` are directories of the engine: the place may be neither in one of them nor hold one, unless it is in the `home` of
    `plugin`. Where that has a `root` of its own, the path is meant in it. Raises PluginBroke, OSError.
    """
    if not path.startswith("/") or "\0" in path:
        raise PluginBroke(f"the mount point {path[:256]!r} is no absolute path")
    if plugin.root:
        with SafeRoot(plugin.root) as inside:
            return inside.open(path.lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY)
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        place = _identity(descriptor)
        above = set(_above(descriptor))
        for directory in () if _is_in(above, plugin.home) else secret:
            opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if _identity(opened) in above or place in _above(opened):
                    raise PluginBroke(f"the mount point {path[:256]!r} holds or lies in the engine's own files")
            finally:
                os.close(opened)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_in(above: set[tuple[int, int]], home: str) -> bool:
    if not home:
        return False
    status = os.stat(home)
    return (status.st_dev, status.st_ino) in above


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _above(descriptor: int) -> list[tuple[int, int]]:
    """The directory itself and all that hold it, by what they are and not by what they are called."""
    found = [_identity(descriptor)]
    here = os.dup(descriptor)
    try:
        for _ in range(_DEEPEST):
            parent = os.open("..", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = parent
            if _identity(here) == found[-1]:
                return found
            found.append(_identity(here))
        raise PluginBroke("the mount point lies too deep")
    finally:
        os.close(here)
