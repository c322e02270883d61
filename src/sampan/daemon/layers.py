"""Images and writable layers as create and start need them: `needs.Layers` over `images` and `snapshots`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from sampan.daemon.needs import FoundImage
from sampan.daemon.workers import Workers
from sampan.images.host_layer import HostLayer
from sampan.images.images import Images
from sampan.kernel.mount import AT_FDCWD, OpenTree, open_tree
from sampan.snapshots.mounting import overlay
from sampan.snapshots.protocol import LayerNotFound, Snapshotter
from sampan.spec.ids import ContainerId, ImageId
from sampan.spec.images import ImageConfig
from sampan.spec.rootfs import HOST_HIDDEN, HOST_ROOT, PlainRoot, RootMount


class ImageLayers:
    """Implements `needs.Layers`."""

    def __init__(self, images: Images, snapshots: Snapshotter, workers: Workers, host: HostLayer) -> None:
        self._host = host
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

    async def prepare(self, container: ContainerId, image: ImageId | None) -> None:
        """See `needs.Layers`. A few mkdir: not worth another thread."""
        chain = self._images.chain(image) if image is not None else None
        self._snapshots.prepare(container, chain)

    def stands_on_host(self, image: ImageId) -> bool:
        """See `needs.Layers`."""
        return self._images.stands_on_host(image)

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
        return await self._workers.run(self._mount, self._snapshots.mount_of(container))

    def _mount(self, root: RootMount) -> int:
        if isinstance(root, PlainRoot):
            return open_tree(AT_FDCWD, os.fsencode(root.path), OpenTree.CLONE)
        with self._opened(root.lowers) as lowers:
            return overlay(lowers, root.upper, root.work)

    @contextmanager
    def _opened(self, directories: Sequence[str]) -> Iterator[list[int]]:
        """Descriptors of layers as this process sees them: the machine's own root lies elsewhere than for the launcher."""
        opened: list[int] = []
        try:
            for directory in directories:
                opened.append(self._open(directory))  # noqa: PERF401 - what is open when one fails gets closed
            yield opened
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _open(self, directory: str) -> int:
        if directory.startswith((HOST_ROOT, HOST_HIDDEN)):
            return self._host.open(directory)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def discard(self, container: ContainerId) -> None:
        """See `needs.Layers`."""
        self._snapshots.remove(container)

    def writable(self) -> Sequence[ContainerId]:
        """See `needs.Layers`."""
        return [ContainerId(key) for key in self._snapshots.keys()]  # noqa: SIM118 - no dictionary

    async def usage(self, container: ContainerId) -> int:
        """See `needs.Layers`."""
        return (await self._workers.run(self._snapshots.usage, container)).size

    def size(self, image: ImageId) -> int:
        """See `needs.Layers`."""
        return self._images.size(image)


def as_api(config: msgspec.Struct | None) -> ImageConfig:
    """An image's run configuration as the API has it: the members have the same names in both."""
    if config is None:
        return ImageConfig()
    return msgspec.convert(msgspec.to_builtins(config), ImageConfig)
