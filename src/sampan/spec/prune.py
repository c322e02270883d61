"""`POST /sampan/prune-plan` and `POST /sampan/prune`: what a prune would take, and exactly that taken."""

from sampan.spec.document import Document, Int64, Names, sent

Wanted = dict[str, Names]
"""Filters: values by key."""


class BuildCacheWanted(Document, frozen=True):
    """What of the build cache is to go: as `POST /build/prune` has it."""

    all: bool = False
    reserved_space: Int64 = 0
    filters: Wanted | None = None


class PrunePlanRequest(Document, frozen=True):
    """What is to be pruned, each kind with the filters of its own prune; null for what is not."""

    containers: Wanted | None = None
    networks: Wanted | None = None
    volumes: Wanted | None = None
    images: Wanted | None = None
    build_cache: BuildCacheWanted | None = None


class PrunedItem(Document, frozen=True):
    """One thing that goes. `kind`: container, network, volume, image, layer or build-cache. `size`: bytes that are given back."""

    kind: str = sent("")
    id: str = sent("")
    names: tuple[str, ...] = sent(())
    size: Int64 = sent(0)


class PrunePlan(Document, frozen=True):
    """What would go now. `id` is what carries it out, until `expires` (RFC 3339) or the end of the daemon."""

    id: str = sent("")
    expires: str = sent("")
    items: tuple[PrunedItem, ...] = sent(())
    size: Int64 = sent(0)


class PruneReport(Document, frozen=True):
    """What went of a plan, and what stays because it came into use or was changed since."""

    removed: tuple[PrunedItem, ...] = sent(())
    kept: tuple[PrunedItem, ...] = sent(())
    space_reclaimed: Int64 = sent(0)
