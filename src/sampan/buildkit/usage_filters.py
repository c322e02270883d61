"""Filters of the build cache as BuildKit's clients write them. Pure."""

from collections.abc import Callable, Sequence

from sampan.buildkit import filters
from sampan.spec.disk import BuildCache

_VALUES: dict[str, Callable[[BuildCache], str]] = {
    "id": lambda record: record.id,
    "type": lambda record: record.type,
    "description": lambda record: record.description,
    "parent": lambda record: ",".join(record.parents or ()),
    "parents": lambda record: ",".join(record.parents or ()),
    "inuse": lambda record: str(record.in_use).lower(),
    "shared": lambda record: str(record.shared).lower(),
    "private": lambda record: str(not record.shared).lower(),
    "mutable": lambda record: str(record.type in ("exec.cachemount", "source.local")).lower(),
    "immutable": lambda record: str(record.type not in ("exec.cachemount", "source.local")).lower(),
}


def filtered(records: Sequence[BuildCache], given: Sequence[str]) -> list[BuildCache]:
    """Those that fit one of the filters; all without one. Raises InvalidParameter."""
    return filters.filtered(records, given, _VALUES)
