"""Volume drivers: where the files of a volume are kept, and at which directory of the host they can be seen.

Source: Docker's "Volume plugin protocol". Entry points: `sampan.volume`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.spec.document import Document, sent, wire

KIND = "VolumeDriver"


class Volume(Document, frozen=True):
    """What is known of a volume. `mountpoint`: an absolute path while it is mounted; `created_at` as RFC 3339 has it.

    `status` is for people: `docker volume inspect` shows it.
    """

    name: str
    mountpoint: str = ""
    created_at: str = ""
    status: dict[str, Any] | None = None


class VolumeDriver(Protocol):
    """All methods may be called from several threads at once. What they raise is told to the user as it reads.

    The process ends with the daemon, and mounts and uses outlive it: what has to be known afterwards is kept in `home`.
    """

    scope: str = "local"
    """`local`: a volume is this machine's; `global`: the same volume is there on others."""

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make the volume, with the `-o key=value` of the user. One that exists already, made likewise, is no fault."""
        ...

    def remove(self, name: str) -> None:
        """Delete it with all it holds. It is not in use. Raises LookupError where there is none."""
        ...

    def mount(self, name: str, use: str) -> Path:
        """Make it seen at an absolute path of the host, and return that. `use` names who needs it; the same use twice is one."""
        ...

    def unmount(self, name: str, use: str) -> None:
        """`use` needs it no more; after the last it may be taken away. One that was never mounted is no fault."""
        ...

    def volume(self, name: str) -> Volume:
        """What is known of it. Raises LookupError where there is none."""
        ...

    def volumes(self) -> Iterable[Volume]:
        """All of this driver's."""
        ...


class _Named(Document, frozen=True, rename=wire(id="ID")):
    name: str = ""
    id: str = ""
    opts: dict[str, str] | None = None


class _Mountpoint(Document, frozen=True):
    mountpoint: str = sent("")


class _Got(Document, frozen=True):
    volume: Volume


class _Listed(Document, frozen=True):
    volumes: tuple[Volume, ...] = sent(())


class _Scope(Document, frozen=True):
    scope: str


class _Capabilities(Document, frozen=True):
    capabilities: _Scope


def calls(driver: VolumeDriver) -> Calls:
    """What the plugin protocol asks of a volume driver, answered by `driver`."""

    def create(asked: _Named) -> Nothing:
        driver.create(asked.name, asked.opts or {})
        return Nothing()

    def remove(asked: _Named) -> Nothing:
        driver.remove(asked.name)
        return Nothing()

    def mount(asked: _Named) -> _Mountpoint:
        return _Mountpoint(str(driver.mount(asked.name, asked.id)))

    def unmount(asked: _Named) -> Nothing:
        driver.unmount(asked.name, asked.id)
        return Nothing()

    answers = {
        "Create": create,
        "Remove": remove,
        "Mount": mount,
        "Unmount": unmount,
        "Path": lambda asked: _Mountpoint(driver.volume(asked.name).mountpoint),
        "Get": lambda asked: _Got(driver.volume(asked.name)),
        "List": lambda _: _Listed(tuple(driver.volumes())),
        "Capabilities": lambda _: _Capabilities(_Scope(driver.scope)),
    }
    return {f"{KIND}.{name}": Call(_Named, answer) for name, answer in answers.items()}
