"""The build cache as the API and builds call it: opened when it is first needed, its walks and waits in worker threads.

Nothing of `build.cache` is loaded by a daemon whose state has no record of it until somebody builds.
"""

import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.build.cache.holdings import TABLE, Holdings
from sampan.daemon.piping import Passing
from sampan.daemon.times import parse_time, rfc3339
from sampan.daemon.workers import Workers
from sampan.errors import InvalidParameter
from sampan.images.catalog import Catalog
from sampan.spec.disk import BuildCache, BuildPruneReport
from sampan.spec.requests import BuildMountOptions, BuildPruneOptions
from sampan.state.store import Store

if TYPE_CHECKING:
    from sampan.build.cache.mounts import CacheMounts, Taken
    from sampan.build.cache.pruning import Budget, Disk, Item, Rule
    from sampan.build.cache.store import BuildCache as Cache
    from sampan.build.keys import Key

_MOUNTS = "build-mounts"
_COLLECT_EVERY = 60.0
"""Seconds between two collections at least: a walk over cache mounts is not for each of many short builds."""


class BuildCacheApi:
    """Implements `api.backend.BuildCache`; on the event loop. `cache` and `mounts` are for builds."""

    def __init__(self, catalog: Catalog, store: Store, holdings: Holdings, data_root: Path, workers: Workers) -> None:
        self._catalog = catalog
        self._store = store
        self._holdings = holdings
        self._root = data_root / "build"
        self._workers = workers
        self._cache: Cache | None = None
        self._mounts: CacheMounts | None = None
        self._collected = 0.0

    @property
    def cache(self) -> "Cache":
        """The records."""
        if self._cache is None:
            from sampan.build.cache.store import BuildCache as Cache

            self._cache = Cache(self._catalog, self._store, self._holdings)
        return self._cache

    @property
    def mounts(self) -> "CacheMounts":
        """The directories of cache mounts."""
        if self._mounts is None:
            from sampan.build.cache.mounts import CacheMounts

            self._mounts = CacheMounts(self._store, self._root)
        return self._mounts

    def close(self) -> None:
        """End background work."""
        if self._mounts is not None:
            self._mounts.close()

    def _is_empty(self) -> bool:
        """Whether there is nothing to list: asked without opening anything."""
        opened = self._cache is not None or self._mounts is not None
        return not (opened or self._store.table(TABLE) or self._store.table(_MOUNTS))

    async def list(self) -> Sequence[BuildCache]:
        """See the Protocol."""
        if self._is_empty():
            return ()
        records, mounts = await self._items()
        return tuple(_shown(item) for item in (*records.values(), *mounts.values()))

    async def _items(self) -> "tuple[dict[Key, Item], dict[str, Item]]":
        """Records by key, and directories of cache mounts by name."""
        return await self._workers.run(_records, self.cache), await self._workers.run(_mounts, self.mounts)

    async def prune(self, options: BuildPruneOptions) -> BuildPruneReport:
        """See the Protocol."""
        rule = rule_of(options)
        return BuildPruneReport() if self._is_empty() else await self._apply([rule])

    async def would_go(self, options: BuildPruneOptions) -> "tuple[dict[Key, Item], dict[str, Item]]":
        """The records and cache mounts that `prune` would remove now. Raises InvalidParameter."""
        rule = rule_of(options)
        return await self._going(rule) if not self._is_empty() else ({}, {})

    async def drop(self, records: "Mapping[Key, Item]", mounts: "Mapping[str, Item]") -> BuildPruneReport:
        """Remove these, but for what is in use, or was used since it was looked at."""
        if not records and not mounts:
            return BuildPruneReport()
        now_records, now_mounts = await self._items()
        keys = [key for key, item in records.items() if key in now_records and now_records[key].used == item.used]
        names = [name for name, item in mounts.items() if name in now_mounts and now_mounts[name].used == item.used]
        return await self._drop({key: now_records[key] for key in keys}, {name: now_mounts[name] for name in names})

    async def _going(self, rule: "Rule") -> "tuple[dict[Key, Item], dict[str, Item]]":
        from sampan.build.cache.pruning import chosen

        records, mounts = await self._items()
        listed = (*records.values(), *mounts.values())
        going = {item.id for item in chosen(listed, rule, _disk(self._root.parent), time.time_ns())}
        return (
            {key: item for key, item in records.items() if item.id in going},
            {name: item for name, item in mounts.items() if name in going},
        )

    async def _drop(self, records: "Mapping[Key, Item]", mounts: "Mapping[str, Item]") -> BuildPruneReport:
        deleted: list[str] = []
        freed = 0
        for name, mount in mounts.items():
            if await self.mounts.drop(name):
                deleted.append(name)
                freed += mount.size
        dropped = await self._workers.run(self.cache.drop, list(records))
        deleted += [records[key].id for key in dropped.keys]
        return BuildPruneReport(caches_deleted=tuple(deleted) or None, space_reclaimed=freed + dropped.freed)

    async def mount_archive(self, identity: str) -> AsyncIterator[bytes]:
        """See the Protocol."""
        taken = self.mounts.hold(self.mounts.find(identity))
        return self._packed(taken)

    async def _packed(self, taken: "Taken") -> AsyncIterator[bytes]:
        try:
            async for piece in self._workers.iterate(lambda: self.mounts.pack(taken.name)):
                yield piece
        finally:
            self.mounts.give(taken)

    async def replace_mount(self, options: BuildMountOptions, archive: AsyncIterator[bytes]) -> None:
        """See the Protocol."""
        from sampan.build.cache.mounts import MountWish

        if not options.id:
            raise InvalidParameter("a cache mount is named by its id")
        wish = MountWish(identity=options.id, mode=options.mode, uid=options.uid, gid=options.gid)
        async with Passing(archive) as passing:
            made = await self._workers.run(self.mounts.unpack, wish, passing.file)
        await self.mounts.place(wish, made)

    async def collect(self, budget: "Budget") -> None:
        """Let the cache fit its budget; after a build, and at most once a minute."""
        now = time.monotonic()
        if self._is_empty() or (self._collected and now - self._collected < _COLLECT_EVERY):
            return
        self._collected = now
        await self._apply(budget.policy(_disk(self._root.parent)))

    async def _apply(self, rules: "Sequence[Rule]") -> BuildPruneReport:
        deleted: list[str] = []
        freed = 0
        for rule in rules:
            report = await self._drop(*await self._going(rule))
            deleted += report.caches_deleted or ()
            freed += report.space_reclaimed
        return BuildPruneReport(caches_deleted=tuple(deleted) or None, space_reclaimed=freed)


def rule_of(options: BuildPruneOptions) -> "Rule":
    """What a prune asks for. Raises InvalidParameter."""
    from sampan.build.cache.pruning import Rule, parse_fields

    plain = {key: list(values) for key, values in options.filters.items()}
    unused = _unused(plain, time.time_ns())
    return Rule(
        every=options.all,
        unused=unused,
        reserved=options.reserved_space,
        most=options.max_used_space,
        free=options.min_free_space,
        fields=parse_fields(plain),
    )


def _records(cache: "Cache") -> "dict[Key, Item]":
    from sampan.build.cache.pruning import Item
    from sampan.build.cache.records import identity

    return {
        key: Item(
            id=identity(key),
            kind=record.kind,
            description=record.text,
            size=record.size,
            created=record.created,
            used=record.used,
            uses=record.uses,
            in_use=cache.in_use(key),
            shared=cache.is_shared(record),
            parents=tuple(identity(one) for one in record.inputs),
        )
        for key, record in cache.records().items()
    }


def _mounts(mounts: "CacheMounts") -> "dict[str, Item]":
    from sampan.build.cache.pruning import Item
    from sampan.build.cache.records import Kind

    return {
        name: Item(
            id=name,
            kind=Kind.MOUNT,
            description=f"cache mount {mount.identity}",
            size=mounts.size(name),
            created=mount.created,
            used=mount.used,
            uses=mount.uses,
            in_use=mounts.in_use(name),
        )
        for name, mount in mounts.records().items()
    }


def _shown(item: "Item") -> BuildCache:
    return BuildCache(
        id=item.id,
        parents=item.parents or None,
        type=item.kind,
        description=item.description,
        in_use=item.in_use,
        shared=item.shared,
        size=item.size,
        created_at=rfc3339(item.created),
        last_used_at=rfc3339(item.used) if item.used else None,
        usage_count=item.uses,
    )


def _unused(filters: dict[str, list[str]], now: int) -> int:
    """How long ago the last use must be, taken out of the filters. Raises InvalidParameter in Docker's words."""
    given = {key: filters.pop(key) for key in ("until", "unused-for") if filters.get(key)}
    if len(given) > 1:
        raise InvalidParameter('conflicting filters: "until" and "unused-for"')
    for key, values in given.items():
        if len(values) > 1:
            raise InvalidParameter("filters expect only one value")
        try:
            return max(now - parse_time(values[0], now), 1)
        except InvalidParameter as error:
            raise InvalidParameter(
                f"\"{key}\" filter expects a duration (e.g., '24h') or a timestamp: {error}"
            ) from error
    return 0


def _disk(root: Path) -> "Disk":
    from sampan.build.cache.pruning import Disk

    status = os.statvfs(root)
    return Disk(total=status.f_blocks * status.f_frsize, free=status.f_bavail * status.f_frsize)
