"""Filters of `volume ls` and `volume prune`."""

from collections.abc import Mapping, Sequence

from sampan.errors import InvalidParameter
from sampan.volumes.local import NoSuchVolume, Users, Volume, VolumeInUse, Volumes

_TRUTHS = {"1": True, "true": True, "True": True, "0": False, "false": False, "False": False}


def select(volumes: Sequence[Volume], filters: Mapping[str, Sequence[str]], users: Users) -> list[Volume]:
    """The volumes that fit: `dangling`, `driver`, `label` (all must fit), `name` (any part of it).

    Raises InvalidParameter in Docker's words.
    """
    for name in filters:
        if name not in ("dangling", "driver", "label", "name"):
            raise InvalidParameter(f"invalid filter '{name}'")
    dangling = _truth(filters, "dangling")
    result = []
    for volume in volumes:
        if filters.get("driver") and volume.driver not in filters["driver"]:
            continue
        if filters.get("name") and not any(part in volume.name for part in filters["name"]):
            continue
        if not all(has_label(volume.labels, label) for label in filters.get("label", ())):
            continue
        if dangling is not None and bool(users(volume.name)) == dangling:
            continue
        result.append(volume)
    return result


def prunable(volumes: Volumes, filters: Mapping[str, Sequence[str]], users: Users) -> list[Volume]:
    """The volumes that no container refers to, anonymous ones unless `all`. Raises InvalidParameter for filters."""
    for name in filters:
        if name not in ("all", "label", "label!"):
            raise InvalidParameter(f"invalid filter '{name}'")
    every = _truth(filters, "all") or False
    found = []
    for volume in volumes.list():
        # As in Docker nothing with options goes: what is in it may lie elsewhere.
        if not (volume.anonymous or every) or volume.options:
            continue
        if not all(has_label(volume.labels, label) for label in filters.get("label", ())):
            continue
        if any(has_label(volume.labels, label) for label in filters.get("label!", ())):
            continue
        if not users(volume.name):
            found.append(volume)
    return found


def prune(volumes: Volumes, filters: Mapping[str, Sequence[str]], users: Users) -> tuple[list[str], int]:
    """Remove them; their names and the bytes that were freed. Raises InvalidParameter for filters."""
    removed = []
    freed = 0
    for volume in prunable(volumes, filters, users):
        try:
            size = volumes.size(volume.name)
            volumes.remove(volume.name, users)
        except (VolumeInUse, NoSuchVolume):
            continue  # in use, or gone since it was listed
        removed.append(volume.name)
        freed += size
    return removed, freed


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether `NAME` or `NAME=value` holds of the labels."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def _truth(filters: Mapping[str, Sequence[str]], name: str) -> bool | None:
    values = filters.get(name)
    if not values:
        return None
    if len(set(values)) != 1 or values[0] not in _TRUTHS:
        raise InvalidParameter(f"invalid filter '{name}=[{' '.join(values)}]'")
    return _TRUTHS[values[0]]
