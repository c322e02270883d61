"""Filters of the build cache as BuildKit's clients write them, in containerd's way: `field==value`, `!=`, `~=`. Pure."""

import re
from collections.abc import Callable, Sequence

from sampan.errors import InvalidParameter
from sampan.spec.disk import BuildCache

_FILTER = re.compile(r"([a-z]+)(?:(==|!=|~=|=)(.*))?", re.DOTALL)
_LONGEST = 256
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


def filtered(records: Sequence[BuildCache], filters: Sequence[str]) -> list[BuildCache]:
    """Those that fit one of the filters; all without one. Raises InvalidParameter."""
    fits = [_compiled(one) for one in filters if one]
    return [record for record in records if not fits or any(fit(record) for fit in fits)]


def _compiled(text: str) -> Callable[[BuildCache], bool]:
    """All conditions of one filter, which commas part."""
    conditions = [_condition(part) for part in text.split(",")]
    return lambda record: all(condition(record) for condition in conditions)


def _condition(text: str) -> Callable[[BuildCache], bool]:
    match = _FILTER.fullmatch(text)
    if match is None or match[1] not in _VALUES or len(text) > _LONGEST:
        raise InvalidParameter(f"failed to parse filter {text[:_LONGEST]!r}")
    value, operator, wanted = _VALUES[match[1]], match[2], (match[3] or "").strip('"')
    if operator is None:
        return lambda record: value(record) not in ("", "false")
    if operator == "~=":
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise InvalidParameter(f"failed to parse filter {text[:_LONGEST]!r}: {error}") from error
        return lambda record: pattern.search(value(record)) is not None
    return lambda record: (value(record) == wanted) != (operator == "!=")
