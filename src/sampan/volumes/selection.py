"""Filters of `volume ls` and `volume prune`."""

import re
from collections.abc import Mapping, Sequence

from sampan.errors import InvalidParameter
from sampan.volumes.local import NoSuchVolume, Users, Volume, VolumeInUse, Volumes

_LONGEST = 256
_GO_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_TRUTHS = {"1": True, "true": True, "True": True, "0": False, "false": False, "False": False}


def select(volumes: Sequence[Volume], filters: Mapping[str, Sequence[str]], users: Users) -> list[Volume]:
    """The volumes that fit: `dangling`, `driver`, `label` (all must fit), `name` (found in it, as a regular expression).

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
        if filters.get("name") and not any(_matches(pattern, volume.name) for pattern in filters["name"]):
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
    every = _every(filters.get("all") or ())
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


def _every(values: Sequence[str]) -> bool:
    if len(values) > 1:
        raise InvalidParameter(f"invalid filter 'all=[{' '.join(values)}]': only one value is expected")
    if values and values[0] not in _GO_TRUTHS:
        raise InvalidParameter(f"invalid filter 'all': strconv.ParseBool: parsing \"{values[0]}\": invalid syntax")
    return bool(values) and _GO_TRUTHS[values[0]]


def _matches(pattern: str, name: str) -> bool:
    """A name or a regular expression that is found in it, as in Docker."""
    try:
        return pattern == name or (len(pattern) <= _LONGEST and re.search(pattern, name) is not None)
    except re.error:
        return False


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
