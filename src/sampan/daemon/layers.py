"""Images and writable layers as create and start need them: `needs.Layers` over `images` and `snapshots`."""

from collections.abc import Iterator, Sequence

import msgspec

from sampan.daemon.needs import FoundImage
from sampan.daemon.workers import Workers
from sampan.errors import NotImplementedHere
from sampan.images.catalog import NoSuchImage
from sampan.images.images import Images
from sampan.snapshots.protocol import Change, LayerNotFound, Snapshotter
from sampan.spec.ids import ContainerId, ImageId
from sampan.spec.images import ImageConfig
from sampan.spec.rootfs import RootMount


class ImageLayers:
    """Implements `needs.Layers`."""

    def __init__(self, images: Images, snapshots: Snapshotter, workers: Workers) -> None:
        self._images = images
        self._snapshots = snapshots
        self._workers = workers
        self._found: dict[ImageId, FoundImage] = {}

    @property
    def driver(self) -> str:
        """See `needs.Layers`."""
        return self._snapshots.name

    def find(self, reference: str) -> FoundImage:
        """See `needs.Layers`."""
        image_id = self._images.resolve(reference)
        known = self._found.get(image_id)
        if known is None:
            known = self._found[image_id] = self._read(image_id)
        return known

    def _read(self, image_id: ImageId) -> FoundImage:
        """An image's configuration never changes, so it is read once."""
        document = self._images.document(image_id)
        return FoundImage(
            image_id,
            as_api(document.config),
            document.os,
            document.architecture,
            document.variant,
        )

    @property
    def bounded(self) -> bool:
        """See `needs.Layers`."""
        return self._snapshots.bounded

    async def prepare(self, container: ContainerId, image: ImageId | None, size: int = 0) -> None:
        """See `needs.Layers`. A few mkdir are not worth another thread; a copy of a tree is, and a snapshot waits for its disk."""
        chain = self._images.chain(image) if image is not None else None
        if self._snapshots.whole:
            await self._workers.run(self._snapshots.prepare, container, chain, size)
        else:
            self._snapshots.prepare(container, chain, size)

    def stands_on_host(self, image: ImageId) -> bool:
        """See `needs.Layers`."""
        return self._images.stands_on_host(image)

    def mountable(self, reference: str) -> ImageId:
        """The image that is to be mounted in a container. Raises NotFound, NotImplementedHere for one without a root of its own."""
        image = self._images.resolve(reference)
        if self._images.stands_on_host(image):
            raise NotImplementedHere(f"mounts of the image {reference}, which is this machine, are not implemented yet")
        return image

    def view(self, image: ImageId | None) -> int:
        """See `needs.Layers`."""
        chain = self._images.chain(image) if image is not None else None
        if chain is None:
            return -1
        try:
            return self._snapshots.view(chain)
        except LayerNotFound:
            # The machine's own root: its directories are not copied into volumes.
            return -1

    def mount_of(self, container: ContainerId) -> RootMount:
        """See `needs.Layers`."""
        return self._snapshots.mount_of(container)

    async def mounted(self, container: ContainerId) -> int:
        """See `needs.Layers`."""
        return await self._workers.run(self._snapshots.mounted, container)

    async def looked_at(self, container: ContainerId) -> int:
        """See `needs.Layers`."""
        return await self._workers.run(self._snapshots.looked_at, container)

    async def changes(self, container: ContainerId) -> tuple[Change, ...]:
        """See `needs.Layers`."""
        return await self._workers.run(self._snapshots.changes, container)

    def difference(self, container: ContainerId) -> Iterator[bytes]:
        """See `needs.Layers`."""
        return self._snapshots.diff(container)

    def discard(self, container: ContainerId) -> None:
        """See `needs.Layers`."""
        self._snapshots.remove(container)
        self._images.container_gone()

    def writable(self) -> Sequence[ContainerId]:
        """See `needs.Layers`."""
        return [ContainerId(key) for key in self._snapshots.keys()]  # noqa: SIM118 - no dictionary

    async def usage(self, container: ContainerId) -> int:
        """See `needs.Layers`."""
        return await self._workers.measure("container", container, lambda: self._snapshots.usage(container).size)

    def size(self, image: ImageId) -> int:
        """See `needs.Layers`."""
        try:
            return self._images.size(image)
        except NoSuchImage:
            return 0  # taken away by force under a container

    def total(self) -> int:
        """See `needs.Layers`."""
        return sum(layer.size for layer in self._snapshots.layers())


def as_api(config: msgspec.Struct | None) -> ImageConfig:
    """An image's run configuration as the API has it: the members have the same names in both."""
    if config is None:
        return ImageConfig()
    return msgspec.convert(msgspec.to_builtins(config), ImageConfig)
