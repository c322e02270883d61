"""Volumes of the driver `local` as create and start need them: over `volumes`, in worker threads."""

import logging
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

from sampan.daemon.events import Events
from sampan.daemon.needs import FoundVolume
from sampan.daemon.workers import Workers
from sampan.errors import SampanError, System, host_fault, host_words
from sampan.kernel.mount import OpenTree
from sampan.spec.ids import ContainerId
from sampan.state.store import Change
from sampan.volumes import letters
from sampan.volumes.local import Volume, VolumeInUse, Volumes
from sampan.volumes.mounted import MountedVolumes, MountFailed
from sampan.volumes.population import has_directory, populate_mounted

_log = logging.getLogger("sampan.daemon")
Users = Callable[[str], Sequence[ContainerId]]


class LocalVolumes:
    """`needs.VolumeStore` for one driver; `AllVolumes` is for all."""

    def __init__(self, volumes: Volumes, users: Users, workers: Workers, events: Events) -> None:
        self._volumes = volumes
        self._mounted = MountedVolumes(volumes)
        self._users = users
        self._workers = workers
        # Threads of their own: a server that does not answer keeps nobody waiting who mounts nothing.
        self._mounting = Workers()
        self._events = events

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> FoundVolume:
        """See `needs.VolumeStore`."""
        there = self.has(name)
        made = await self._workers.run(make, self._volumes, name, driver, options, labels, pending=not name)
        if not there:
            self._events.publish("volume", "create", made.name, {"driver": made.driver})
        return _found(made)

    def has(self, name: str) -> bool:
        """Whether there is a volume of that name."""
        return self._volumes.has(name)

    def get(self, name: str) -> FoundVolume:
        """See `needs.VolumeStore`."""
        return _found(self._volumes.get(name))

    async def populate(self, name: str, image_root: int, path: str) -> None:
        """See `needs.VolumeStore`."""
        in_use = bool(self._users(name))
        try:
            if self._volumes.get(name).mounted:
                await self._mounting.run(self._populate_mounted, name, image_root, path)
            else:
                await self._workers.run(self._volumes.populate, name, image_root, path, in_use)
        except OSError as error:
            raise System(f"populating volume {name} from {path}: {host_words(error)}") from error

    def _populate_mounted(self, name: str, image_root: int, path: str) -> None:
        if has_directory(image_root, path):
            with self._mounted.root(name) as directory:
                populate_mounted(directory, image_root, path)

    async def hold(self, user: str, names: Iterable[str]) -> tuple[socket.socket, ...]:
        """See `needs.VolumeStore`."""
        written: list[socket.socket] = []
        try:
            for name in dict.fromkeys(name for name in names if self._volumes.get(name).mounted):
                written.append(await self._mounting.run(self._hold, user, name))  # noqa: PERF401 - what is written gets closed
        except BaseException:
            for letter in written:
                letter.close()
            self._mounted.let_go(user)
            raise
        return tuple(written)

    def _hold(self, user: str, name: str) -> socket.socket:
        try:
            return self._mounted.hold(user, name)
        except MountFailed as error:
            mountpoint = self._volumes.get(name).mountpoint
            raise System(f"error while mounting volume '{mountpoint}': {error}") from error

    def let_go(self, user: str) -> None:
        """See `needs.VolumeStore`."""
        self._mounted.let_go(user)

    def adopt(self, user: ContainerId, monitor: int) -> None:
        """See `needs.VolumeStore`."""
        try:
            self._mounted.adopt(user, letters.held_by(monitor))
        except OSError as error:
            _log.warning("container %s: its volumes' mounts are not found again: %s", user[:12], error)

    def tree(self, name: str, below: str, flags: OpenTree) -> int:
        """See `needs.VolumeStore`."""
        return self._mounted.tree(name, below, flags)

    def staying(self, names: Iterable[str]) -> tuple[Change, ...]:
        """See `needs.VolumeStore`."""
        return self._volumes.settled([name for name in names if self.has(name)])

    def going(self, names: Iterable[str], user: ContainerId) -> tuple[Change, ...]:
        """See `needs.VolumeStore`."""
        own = [name for name in names if self.has(name) and set(self._users(name)) <= {user}]
        return self._volumes.settled(own, pending=True)

    def sweep(self) -> None:
        """See `needs.VolumeStore`."""
        try:
            self._volumes.sweep(self._users)
        except (SampanError, OSError) as error:
            _log.warning("volumes of containers that are gone stay: %s", error)

    async def remove_anonymous(self, name: str) -> None:
        """See `needs.VolumeStore`."""
        try:
            await self._workers.run(self._volumes.remove, name, self._users)
        except VolumeInUse:
            # By a container that was made since.
            await self._workers.run(self._volumes.stay, name)
            return
        except (SampanError, OSError):
            # Gone already, or the next start removes it.
            return
        self._events.publish("volume", "destroy", name, {"driver": "local"})


def _found(volume: Volume) -> FoundVolume:
    return FoundVolume(volume.name, volume.driver, volume.mountpoint, volume.mounted)


def make(
    volumes: Volumes,
    name: str,
    driver: str,
    options: Mapping[str, str],
    labels: Mapping[str, str],
    pending: bool = False,
) -> Volume:
    """The volume of that name, made where it is missing. Called in a worker thread."""
    try:
        return volumes.create(name, labels, driver, options, pending)
    except OSError as error:
        raise System(f"create {name}: {host_fault(error)}") from error
