"""Volumes as the API calls them: those of the driver `local` in worker threads, and those of plugins."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from sampan.daemon import volume_archives
from sampan.daemon.events import Events
from sampan.daemon.needs import VolumeStore
from sampan.daemon.plugin_volumes import Listed, PluginVolumes
from sampan.daemon.times import NEVER, rfc3339
from sampan.daemon.volume_store import Users
from sampan.daemon.workers import Workers
from sampan.errors import System, host_fault
from sampan.spec import requests as r
from sampan.spec import volumes as v
from sampan.volumes.local import DRIVER, NoSuchVolume, Volume, VolumeInUse, Volumes
from sampan.volumes.selection import prune, select


class VolumesApi:
    """Implements `api.backend.Volumes`. `volumes` are the driver local's, `store` all."""

    def __init__(
        self,
        volumes: Volumes,
        store: VolumeStore,
        plugins: PluginVolumes,
        users: Users,
        workers: Workers,
        events: Events,
    ) -> None:
        self._volumes = volumes
        self._store = store
        self._plugins = plugins
        self._users = users
        self._workers = workers
        self._events = events

    async def list(self, filters: r.Filters) -> v.VolumeList:
        """Volumes."""
        plain = {key: list(values) for key, values in filters.items()}
        local = self._volumes.list()
        listed, warnings = await self._plugins.list()
        others = {one.name: one for one in listed if not self._volumes.has(one.name)}
        found = select([*local, *map(_as_volume, others.values())], plain, self._users)
        return v.VolumeList(
            volumes=tuple(_told(others[one.name]) if one.name in others else _shown(one) for one in found),
            warnings=tuple(warnings) or None,
        )

    async def measured(self, measure: Callable[[str], Awaitable[int]]) -> tuple[v.Volume, ...]:
        """All volumes with their sizes, as `measure` tells them, and how many containers refer to each.

        As in Docker not those with options: what is in them may be far away.
        """
        local = [volume for volume in self._volumes.list() if not volume.options]
        found = await asyncio.gather(*(self._measured(volume, measure) for volume in local))
        return tuple(one for one in found if one is not None)

    async def _measured(self, volume: Volume, measure: Callable[[str], Awaitable[int]]) -> v.Volume | None:
        try:
            size = await measure(volume.name)
        except (NoSuchVolume, OSError):
            return None  # removed since it was listed
        usage = v.UsageData(size=size, ref_count=len(self._users(volume.name)))
        return msgspec.structs.replace(_shown(volume), usage_data=usage)

    async def create(self, request: v.VolumeCreateRequest) -> v.Volume:
        """Make one, or return the one of that name."""
        return await asyncio.shield(asyncio.get_running_loop().create_task(self._create(request)))

    async def _create(self, request: v.VolumeCreateRequest) -> v.Volume:
        options, labels = request.driver_opts or {}, request.labels or {}
        known = self._plugins.record(request.name) is not None
        made = await self._store.create(request.name, request.driver, options, labels)
        if not known and not self._volumes.has(made.name) and (told := await self._plugins.made(made.name)) is not None:
            return _told(told)
        return msgspec.structs.replace(await self.inspect(made.name), status=None)

    async def inspect(self, name: str) -> v.Volume:
        """One volume."""
        if self._volumes.has(name):
            return _shown(self._volumes.get(name))
        return _told(await self._plugins.get(name), detailed=True)

    async def remove(self, name: str, force: bool) -> None:
        """Remove it; with `force` a volume that does not exist is no fault, and one whose plugin cannot is forgotten."""
        driver = DRIVER
        try:
            if not self._volumes.has(name) and (record := await self._plugins.found(name)) is not None:
                driver = record.driver
                if using := self._users(name):
                    raise VolumeInUse(name, using)
                await self._plugins.remove(name, force=force)
            else:
                await self._workers.run(self._volumes.remove, name, self._users)
        except NoSuchVolume:
            if force:
                return
            raise
        except OSError as error:
            raise System(f"remove {name}: {host_fault(error)}") from error
        self._events.publish("volume", "destroy", name, {"driver": driver})

    async def prune(self, filters: r.Filters) -> v.VolumesPruneReport:
        """Remove volumes that nothing uses."""
        plain = {key: list(values) for key, values in filters.items()}
        removed, freed = await self._workers.run(prune, self._volumes, plain, self._users)
        # As in Docker nothing is told of each.
        self._events.publish("volume", "prune", "", {"reclaimed": str(freed)})
        return v.VolumesPruneReport(volumes_deleted=tuple(removed) or None, space_reclaimed=freed)

    async def archive(self, name: str) -> AsyncIterator[bytes]:
        """See the Protocol."""
        return await volume_archives.export(self._store, name)

    async def unpack(self, name: str, archive: AsyncIterator[bytes]) -> None:
        """See the Protocol."""
        await volume_archives.unpack(self._store, self._workers, name, archive)


def _shown(volume: Volume) -> v.Volume:
    return v.Volume(
        created_at=rfc3339(volume.created_ns - volume.created_ns % 10**9),
        driver=volume.driver,
        labels=dict(volume.labels) or None,
        mountpoint=volume.mountpoint,
        name=volume.name,
        options=dict(volume.options) or None,
        scope=volume.scope,
    )


def _as_volume(listed: Listed) -> Volume:
    """As filters look at it."""
    record = listed.record
    return Volume(
        listed.name,
        listed.told.mountpoint,
        record.created,
        record.labels,
        anonymous=False,
        options=record.options,
        driver=record.driver,
        scope=listed.scope,
    )


def _told(listed: Listed, *, detailed: bool = False) -> v.Volume:
    """What a plugin tells, with what was asked for when the volume was made. As in Docker lists have no times."""
    record, told = listed.record, listed.told
    return v.Volume(
        created_at=(told.created_at if detailed else "") or NEVER,
        driver=record.driver,
        labels=record.labels or None,
        mountpoint=told.mountpoint,
        name=listed.name,
        options=record.options or None,
        scope=listed.scope,
        status=(told.status or {}) if detailed else None,
    )
