"""Volumes of the driver `local` and of plugins as one store: `needs.VolumeStore`, which asks whoever has the volume."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

from sampan.daemon.events import Events
from sampan.daemon.needs import FoundVolume
from sampan.daemon.plugin_volumes import PluginVolumes
from sampan.daemon.volume_store import LocalVolumes, Users
from sampan.daemon.workers import Workers
from sampan.errors import Conflict, SampanError, System, host_words
from sampan.kernel.mount import OpenTree
from sampan.spec.ids import ContainerId
from sampan.state.store import Change
from sampan.volumes.local import DRIVER
from sampan.volumes.population import has_directory, populate_mounted


class AllVolumes:
    """Implements `needs.VolumeStore`."""

    def __init__(
        self, local: LocalVolumes, plugins: PluginVolumes, users: Users, workers: Workers, events: Events
    ) -> None:
        self._local = local
        self.plugins = plugins
        self._users = users
        self._workers = workers
        self._events = events

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> FoundVolume:
        """See `needs.VolumeStore`."""
        if self._local.has(name):
            if driver not in ("", DRIVER):
                raise _taken(name, DRIVER)
            return await self._local.create(name, driver, options, labels)
        known = await self.plugins.found(name) if driver == "" else self.plugins.record(name)
        if known is None and driver in ("", DRIVER):
            return await self._local.create(name, driver, options, labels)
        if known is not None and driver not in ("", known.driver):
            raise _taken(name, known.driver)
        owner = known.driver if known is not None else driver
        name, made = await self.plugins.create(name, owner, options, labels)
        if made:
            self._events.publish("volume", "create", name, {"driver": owner})
        return FoundVolume(name, owner, "", mounted=True)

    def get(self, name: str) -> FoundVolume:
        """See `needs.VolumeStore`."""
        record = self.plugins.record(name)
        if record is None or self._local.has(name):
            return self._local.get(name)
        return FoundVolume(name, record.driver, self.plugins.place(name), mounted=True)

    async def populate(self, name: str, image_root: int, path: str) -> None:
        """See `needs.VolumeStore`."""
        if not self._is_plugins(name):
            await self._local.populate(name, image_root, path)
        elif await self._workers.run(has_directory, image_root, path):
            user = f"populate-{os.urandom(6).hex()}"
            await self.plugins.hold(user, name)
            try:
                await self._workers.run(self._populate, name, image_root, path)
            except OSError as error:
                raise System(f"populating volume {name} from {path}: {host_words(error)}") from error
            finally:
                self.plugins.let_go(user)

    def _populate(self, name: str, image_root: int, path: str) -> None:
        place = self.plugins.directory(name)
        try:
            directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
        finally:
            os.close(place)
        try:
            populate_mounted(directory, image_root, path)
        finally:
            os.close(directory)

    async def hold(self, user: str, names: Iterable[str]) -> tuple[socket.socket, ...]:
        """See `needs.VolumeStore`."""
        wanted = list(dict.fromkeys(names))
        try:
            for name in wanted:
                if self._is_plugins(name):
                    await self.plugins.hold(user, name)
            return await self._local.hold(user, [name for name in wanted if not self._is_plugins(name)])
        except BaseException:
            self.plugins.let_go(user)
            raise

    def let_go(self, user: str) -> None:
        """See `needs.VolumeStore`."""
        self._local.let_go(user)
        self.plugins.let_go(user)

    def adopt(self, user: ContainerId, monitor: int) -> None:
        """See `needs.VolumeStore`."""
        self._local.adopt(user, monitor)

    def settle(self, living: Callable[[str], bool]) -> None:
        """See `needs.VolumeStore`."""
        self.plugins.settle(living)

    def tree(self, name: str, below: str, flags: OpenTree) -> int:
        """See `needs.VolumeStore`."""
        return (self.plugins if self._is_plugins(name) else self._local).tree(name, below, flags)

    def staying(self, names: Iterable[str]) -> Sequence[Change]:
        """See `needs.VolumeStore`. Those of plugins stay, whatever becomes of the container."""
        return self._local.staying(names)

    def going(self, names: Iterable[str], user: ContainerId) -> Sequence[Change]:
        """See `needs.VolumeStore`."""
        return self._local.going(names, user)

    def sweep(self) -> None:
        """See `needs.VolumeStore`."""
        self._local.sweep()

    async def remove_anonymous(self, name: str) -> None:
        """See `needs.VolumeStore`."""
        record = self.plugins.record(name)
        if record is None:
            await self._local.remove_anonymous(name)
        elif not self._users(name):
            try:
                await self.plugins.remove(name, force=False)
            except SampanError:
                return  # as with those of the driver local: it stays, and lists show it
            self._events.publish("volume", "destroy", name, {"driver": record.driver})

    def _is_plugins(self, name: str) -> bool:
        return self.plugins.record(name) is not None and not self._local.has(name)


def _taken(name: str, driver: str) -> Conflict:
    return Conflict(f"create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")
