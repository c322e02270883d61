"""How much room images, containers and volumes take. Images by their records; what is written to has to be walked."""

from collections.abc import Collection

from sampan.daemon.engine import Engine
from sampan.daemon.images_api import ImagesApi
from sampan.daemon.list import list_containers
from sampan.daemon.volumes_api import VolumesApi
from sampan.spec.disk import DiskUsage
from sampan.spec.requests import ContainerListOptions, ImageListOptions


class DiskApi:
    """Implements `api.backend.Disk`."""

    def __init__(self, engine: Engine, images: ImagesApi, volumes: VolumesApi) -> None:
        self._engine = engine
        self._images = images
        self._volumes = volumes

    async def usage(self, types: Collection[str]) -> DiskUsage:
        """See the Protocol. There is no build cache yet."""
        engine = self._engine
        images = await self._images.list(ImageListOptions(shared_size=True)) if "image" in types else None
        containers = (
            await list_containers(engine, ContainerListOptions(all=True, size=True)) if "container" in types else None
        )
        return DiskUsage(
            layers_size=engine.layers.total() if "image" in types else 0,
            images=None if images is None else tuple(images),
            containers=containers,
            volumes=await self._volumes.measured() if "volume" in types else None,
            build_cache=() if "build-cache" in types else None,
        )
