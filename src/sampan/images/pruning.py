"""`image prune`: what goes, what would go, and exactly what was said to go."""

from collections.abc import Iterable
from dataclasses import dataclass

from sampan.images.catalog import Catalog, NoSuchImage
from sampan.images.details import ListFilter, list_images
from sampan.images.events import Notify, silent
from sampan.images.forecast import Forecast
from sampan.images.removal import ImageConflict, Removed, Remover, Users
from sampan.spec.ids import ImageId


@dataclass(frozen=True, slots=True)
class Planned:
    """An image that would go, with its names as users write them, and the bytes that gives."""

    image: ImageId
    names: tuple[str, ...]
    size: int


def _chosen(catalog: Catalog, wanted: ListFilter, users: Users) -> Iterable[tuple[ImageId, tuple[str, ...]]]:
    """Images that nobody uses, newest first, only unnamed ones unless `dangling=false`; with all their names."""
    narrowed = ListFilter(
        labels=wanted.labels,
        not_labels=wanted.not_labels,
        dangling=None if wanted.dangling is False else True,
        until_ns=wanted.until_ns,
    )
    for summary in list_images(catalog, narrowed):
        if not catalog.is_fixed(summary.id) and not users(summary.id):
            yield summary.id, tuple(summary.repo_tags + summary.repo_digests)


def prune(catalog: Catalog, wanted: ListFilter, users: Users, notify: Notify) -> tuple[list[Removed], int]:
    """Remove them; what went, and the bytes freed."""
    removed: list[Removed] = []
    freed = 0
    for image, names in _chosen(catalog, wanted, users):
        gone, size = _remove(catalog, image, names, users, notify)
        removed += gone
        freed += size
    return removed, freed


def _remove(
    catalog: Catalog | Forecast,
    image: ImageId,
    names: tuple[str, ...],
    users: Users,
    notify: Notify,
    parents: bool = True,
) -> tuple[list[Removed], int]:
    removed: list[Removed] = []
    freed = 0
    for text in names or (image,):
        remover = Remover(catalog, users, notify)
        try:
            removed += remover.remove(text, prune=parents)
        except (ImageConflict, NoSuchImage):
            continue  # came into use, or went, a moment ago
        freed += remover.freed
    return removed, freed


def forecast(catalog: Catalog, shadow: Forecast, wanted: ListFilter, users: Users) -> list[Planned]:
    """What `prune` would remove now, in that order; `shadow` is the catalog afterwards. Called under the catalog's lock."""
    planned: list[Planned] = []
    for image, names in _chosen(catalog, wanted, users):
        removed, freed = _remove(shadow, image, names, users, silent)
        gone = [ImageId(item.deleted) for item in removed if item.deleted and catalog.has(ImageId(item.deleted))]
        # The bytes are told with the topmost image. What goes along was made before it, and may have lost its names just now.
        planned += [Planned(one, _names(catalog, one), freed if one == gone[0] else 0) for one in gone]
    return planned


def _names(catalog: Catalog, image: ImageId) -> tuple[str, ...]:
    return tuple(name.familiar for name in catalog.references_of(image))


def carry_out(catalog: Catalog, planned: Iterable[Planned], users: Users, notify: Notify) -> tuple[list[Planned], int]:
    """Remove what was planned where it is as it was: what stays, and the bytes freed."""
    kept: list[Planned] = []
    freed = 0
    for plan in planned:
        with catalog.lock:
            if not catalog.has(plan.image):
                continue  # somebody else removed it
            if _names(catalog, plan.image) == plan.names and not users(plan.image):
                _, size = _remove(catalog, plan.image, plan.names, users, notify, parents=False)
                freed += size
        if catalog.has(plan.image):
            kept.append(plan)
    return kept, freed
