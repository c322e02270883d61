"""What takes room on the disk."""

from sampan.spec.containers import ContainerSummary
from sampan.spec.document import Document, Int64, Names, sent, wire
from sampan.spec.images import ImageSummary
from sampan.spec.volumes import Volume


class BuildCache(Document, frozen=True, rename=wire(id="ID")):
    """One record of the build cache."""

    id: str = sent("")
    parents: Names | None = None
    type: str = sent("")
    description: str = sent("")
    in_use: bool = sent(False)
    shared: bool = sent(False)
    size: Int64 = sent(0)
    created_at: str = sent("")
    last_used_at: str | None = sent(None)
    usage_count: int = sent(0)


class BuildPruneReport(Document, frozen=True):
    """What a prune of the build cache removed, by their ids, and the bytes that freed."""

    caches_deleted: Names | None = sent(None)
    space_reclaimed: Int64 = sent(0)


class Freed(Document, frozen=True):
    """Answer of GET /sampan/freeing: what was removed and is still on the disk, and how many bytes of it are known of."""

    items: int = sent(0)
    size: Int64 = sent(0)


class DiskUsage(Document, frozen=True):
    """Answer of GET /system/df; null for what was not asked for. `layers_size`: each layer counted once."""

    layers_size: Int64 = sent(0)
    images: tuple[ImageSummary, ...] | None = sent(None)
    containers: tuple[ContainerSummary, ...] | None = sent(None)
    volumes: tuple[Volume, ...] | None = sent(None)
    build_cache: tuple[BuildCache, ...] | None = sent(None)
