"""`prune --plan`: what would go, decided by the code that removes, and then exactly that removed.

make ──▶ Plan: each thing with what it was like ──▶ carry_out: what still is like that goes, what is not stays

In the order in which a prune of the system goes: what a container stood on is nobody's when the container has gone. A plan never
grows: what came since is not in it.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampan.daemon import network_changes, prune
from sampan.daemon.build_cache import BuildCacheApi
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.networks_api import prunable as prunable_networks
from sampan.daemon.remove import remove
from sampan.daemon.times import rfc3339
from sampan.daemon.volume_store import Users
from sampan.daemon.workers import Workers
from sampan.errors import Conflict, NotFound, SampanError
from sampan.images.details import PRUNE_FILTERS, parse_filters
from sampan.images.forecast import Forecast
from sampan.images.images import Images
from sampan.images.pruning import Planned, forecast
from sampan.images.removal import ImageUser
from sampan.images.removal import Users as ImageUsers
from sampan.network.driver import NetworkFacts
from sampan.network.networks import Networks
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ChainId, ContainerId, ImageId
from sampan.spec.prune import PrunedItem, PrunePlan, PrunePlanRequest, PruneReport, Wanted
from sampan.spec.requests import BuildPruneOptions, RemoveOptions
from sampan.volumes.local import Volume, Volumes
from sampan.volumes.selection import prunable as prunable_volumes

if TYPE_CHECKING:
    from sampan.build.cache.pruning import Item
    from sampan.build.keys import Key

_MOST = 16
"""Plans that are kept; the oldest goes."""
_SECONDS = 3600


@dataclass(slots=True)
class _Plan:
    """What goes, with the marks by which it is known to be as it was."""

    until: float
    containers: list[tuple[ContainerId, tuple[int, int], PrunedItem]]
    networks: list[tuple[NetworkFacts, PrunedItem]]
    volumes: list[tuple[Volume, PrunedItem]]
    layers: list[tuple[ChainId, PrunedItem]]
    images: list[tuple[Planned, PrunedItem]]
    records: "dict[Key, Item]"
    mounts: "dict[str, Item]"
    cache: dict[str, PrunedItem]

    def items(self) -> tuple[PrunedItem, ...]:
        """In the order in which they go."""
        parts: Sequence[Sequence[tuple[object, ...]]] = (
            self.containers,
            self.networks,
            self.volumes,
            self.layers,
            self.images,
        )
        found = [item for part in parts for *_, item in part if isinstance(item, PrunedItem)]
        return (*found, *self.cache.values())


class PrunePlans:
    """The plans of one daemon. On its event loop."""

    def __init__(
        self,
        engine: Engine,
        images: Images,
        image_users: ImageUsers,
        networks: Networks,
        volumes: Volumes,
        volume_users: Users,
        build_cache: BuildCacheApi,
        workers: Workers,
    ) -> None:
        self._engine = engine
        self._images = images
        self._image_users = image_users
        self._networks = networks
        self._volumes = volumes
        self._volume_users = volume_users
        self._build_cache = build_cache
        self._workers = workers
        self._plans: dict[str, _Plan] = {}

    async def make(self, request: PrunePlanRequest) -> PrunePlan:
        """Decide what would go. Raises InvalidParameter for filters."""
        engine = self._engine
        containers = [] if request.containers is None else prune.fitting(engine, request.containers)
        networks = [] if request.networks is None else prunable_networks(engine, self._networks, request.networks)
        going = frozenset(container.id for container in containers)
        records, mounts = await self._cache_going(request)
        plan = _Plan(
            until=time.time() + _SECONDS,
            containers=await asyncio.gather(*(self._container(container) for container in containers)),
            networks=[(facts, PrunedItem(kind="network", id=facts.id, names=(facts.name,))) for facts in networks],
            volumes=await self._workers.run(self._volumes_going, request.volumes, going),
            layers=[],
            images=[],
            records=records,
            mounts=mounts,
            cache={},
        )
        await self._workers.run(self._forecast, plan, request.images, going)
        identity = os.urandom(6).hex()
        while len(self._plans) >= _MOST:
            self._plans.pop(next(iter(self._plans)))
        self._plans[identity] = plan
        items = plan.items()
        expires = rfc3339(int(plan.until) * 10**9)
        return PrunePlan(id=identity, expires=expires, items=items, size=sum(item.size for item in items))

    async def _container(self, container: Container) -> tuple[ContainerId, tuple[int, int], PrunedItem]:
        size = await self._engine.layers.usage(container.id)
        item = PrunedItem(kind="container", id=container.id, names=(container.name,), size=size)
        return container.id, _mark(container), item

    def _volumes_going(self, filters: Wanted | None, going: frozenset[ContainerId]) -> list[tuple[Volume, PrunedItem]]:
        if filters is None:
            return []
        found = []
        for volume in prunable_volumes(self._volumes, filters, lambda name: self._users_left(name, going)):
            size = self._volumes.size(volume.name)
            found.append((volume, PrunedItem(kind="volume", id=volume.name, names=(volume.name,), size=size)))
        return found

    def _users_left(self, name: str, going: frozenset[ContainerId]) -> list[ContainerId]:
        return [user for user in self._volume_users(name) if user not in going]

    async def _cache_going(self, request: PrunePlanRequest) -> "tuple[dict[Key, Item], dict[str, Item]]":
        wanted = request.build_cache
        if wanted is None:
            return {}, {}
        options = BuildPruneOptions(wanted.all, wanted.reserved_space, 0, 0, wanted.filters or {})
        return await self._build_cache.would_go(options)

    def _forecast(self, plan: _Plan, filters: Wanted | None, going: frozenset[ContainerId]) -> None:
        """Fill in images and cache. In a worker thread; nothing can come or go under the catalog's lock."""
        catalog = self._images.catalog
        wanted = None if filters is None else parse_filters(filters, PRUNE_FILTERS)

        def users(image: ImageId) -> list[ImageUser]:
            return [user for user in self._image_users(image) if user.container not in going]

        with catalog.lock:
            shadow = Forecast(catalog, catalog.snapshots.standing(going))
            for chain in shadow.collect(catalog.left()).layers:
                size = catalog.snapshots.layer(chain).size
                plan.layers.append((chain, PrunedItem(kind="layer", id=chain, size=size)))
            if wanted is not None:
                for one in forecast(catalog, shadow, wanted, users):
                    plan.images.append((one, PrunedItem(kind="image", id=one.image, names=one.names, size=one.size)))
            if plan.records:
                known = self._build_cache.cache.records()
                for key, item in plan.records.items():
                    size = shadow.drop_records(known[key].needs) if key in known else 0
                    plan.cache[item.id] = PrunedItem(
                        kind="build-cache", id=item.id, names=(item.description,), size=size
                    )
        for item in plan.mounts.values():
            plan.cache[item.id] = PrunedItem(kind="build-cache", id=item.id, names=(item.description,), size=item.size)

    async def carry_out(self, identity: str) -> PruneReport:
        """Remove what was planned, as far as it is as it was. A plan serves once. Raises NotFound, Conflict (too old)."""
        plan = self._plans.pop(identity, None)
        if plan is None:
            raise NotFound(f"no such prune plan: {identity}; make one with `sampan system prune --plan`")
        if time.time() > plan.until:
            raise Conflict(f"prune plan {identity} is older than an hour: make another")
        work = asyncio.get_running_loop().create_task(self._carry_out(plan))
        # Carried through when the client has gone.
        return await asyncio.shield(work)

    async def _carry_out(self, plan: _Plan) -> PruneReport:
        removed: list[PrunedItem] = []
        freed = 0
        for container, mark, item in plan.containers:
            if await self._remove_container(container, mark):
                removed.append(item)
                freed += item.size
        for facts, item in plan.networks:
            if await self._remove_network(facts):
                removed.append(item)
        for volume, item in plan.volumes:
            if await self._workers.run(self._remove_volume, volume):
                removed.append(item)
                freed += item.size
        gone = [item for chain, item in plan.layers if self._is_gone(chain)]
        freed += sum(item.size for item in gone)
        removed += gone
        planned = [one for one, _ in plan.images]
        kept, given = await self._workers.run(self._images.prune_planned, planned, self._image_users)
        staying = {one.image for one in kept}
        removed += [item for one, item in plan.images if one.image not in staying]
        report = await self._build_cache.drop(plan.records, plan.mounts)
        removed += [plan.cache[name] for name in report.caches_deleted or ()]
        done = set(map(id, removed))
        return PruneReport(
            removed=tuple(removed),
            kept=tuple(item for item in plan.items() if id(item) not in done),
            space_reclaimed=freed + given + report.space_reclaimed,
        )

    async def _remove_container(self, container_id: ContainerId, mark: tuple[int, int]) -> bool:
        container = self._engine.containers.get(container_id)
        if container is None or container.state.running or _mark(container) != mark:
            return False
        try:
            await remove(self._engine, container_id, RemoveOptions())
        except SampanError:
            return False  # started a moment ago
        return True

    async def _remove_network(self, facts: NetworkFacts) -> bool:
        try:
            if self._networks.find(facts.id).id != facts.id or network_changes.members(self._engine, facts.name):
                return False
            await network_changes.remove(self._engine, self._networks, facts)
        except SampanError:
            return False  # a container came in, or somebody else removed it
        return True

    def _remove_volume(self, planned: Volume) -> bool:
        try:
            if self._volumes.get(planned.name).created_ns != planned.created_ns:
                return False
            self._volumes.remove(planned.name, self._volume_users)
        except SampanError:
            return False  # in use, or gone
        return True

    def _is_gone(self, chain: ChainId) -> bool:
        try:
            self._images.catalog.snapshots.layer(chain)
        except LayerNotFound:
            return True
        return False


def _mark(container: Container) -> tuple[int, int]:
    """What another run changes."""
    return container.state.started_ns, container.state.finished_ns
