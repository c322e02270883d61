"""How much room everything takes: images and what builds made by their records, what is written to as `sizes` tells it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from functools import partial

from sampan.daemon.build_cache import BuildCacheApi
from sampan.daemon.engine import Engine
from sampan.daemon.images_api import ImagesApi
from sampan.daemon.list import list_containers
from sampan.daemon.prune_plans import PrunePlans
from sampan.daemon.sizes import Sizes
from sampan.daemon.volumes_api import VolumesApi
from sampan.images.findings import Examined, Finding, Step, Verdict
from sampan.spec.check import CheckFinding, CheckProgress, CheckStep, CheckVerdict
from sampan.spec.disk import DiskUsage, Freed
from sampan.spec.requests import ContainerListOptions, ImageListOptions


class DiskApi:
    """Implements `api.backend.Disk`."""

    def __init__(
        self,
        engine: Engine,
        images: ImagesApi,
        volumes: VolumesApi,
        build_cache: BuildCacheApi,
        plans: PrunePlans,
        sizes: Sizes,
    ) -> None:
        self._engine = engine
        self._sizes = sizes
        self.plan_prune = plans.make
        self.prune = plans.carry_out
        self._build_cache = build_cache
        self._images = images
        self._volumes = volumes

    async def usage(self, types: Collection[str]) -> DiskUsage:
        """See the Protocol."""
        engine = self._engine
        until = self._sizes.deadline()
        images, containers, volumes, build_cache = await asyncio.gather(
            self._images.list(ImageListOptions(shared_size=True)) if "image" in types else _nothing(),
            list_containers(
                engine, ContainerListOptions(all=True, size=True), partial(self._sizes.container, until=until)
            )
            if "container" in types
            else _nothing(),
            self._volumes.measured(partial(self._sizes.volume, until=until)) if "volume" in types else _nothing(),
            self._build_cache.list() if "build-cache" in types else _nothing(),
        )
        return DiskUsage(
            layers_size=engine.layers.total() if "image" in types else 0,
            images=None if images is None else tuple(images),
            containers=containers,
            volumes=volumes,
            build_cache=None if build_cache is None else tuple(build_cache),
        )

    def freeing(self) -> Freed:
        """See the Protocol."""
        found = self._images.freeing() + self._engine.trash.freeing()
        return Freed(found.items, found.size)

    async def check(self, repair: bool) -> AsyncIterator[CheckStep]:
        """See the Protocol."""
        async for step in self._images.check(repair):
            yield shown(step)


async def _nothing() -> None:
    """What was not asked for."""


def shown(step: Step) -> CheckStep:
    """A step of the check as the API tells it."""
    match step:
        case Finding():
            finding = CheckFinding(
                str(step.kind), step.name, step.images, step.problem, step.remedy, repaired=step.repaired
            )
            return CheckStep(finding=finding)
        case Examined():
            return CheckStep(progress=CheckProgress(step.current, step.total))
        case Verdict():
            return CheckStep(verdict=CheckVerdict(step.images, step.blobs, step.layers, step.findings, step.repaired))
