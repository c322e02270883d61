"""Filters in containerd's way: `field==value`, `!=`, `~=`; commas part conditions that all have to hold. Pure."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sampan.errors import InvalidParameter

T = TypeVar("T")

Condition = Callable[[T], bool]
Values = Mapping[str, Callable[[T], str]]
"""By the name of a field: how its value is told; "" where there is none."""

_FILTER = re.compile(r"([a-zA-Z]+)(?:(==|!=|~=|=)(.*))?", re.DOTALL)
_LONGEST = 256
_QUANTIFIER = re.compile(r"[*+?{]")
_WILD = re.compile(r"\)[*+?{]|\\[0-9g]|\(\?")
"""Groups that are repeated, groups that are referred to, and groups that look around."""
_QUANTIFIERS = 3
_MOST = 32


def filtered(
    records: Sequence[T],
    filters: Sequence[str],
    values: Values[T],
    special: Callable[[str], Condition[T] | None] = lambda _: None,
) -> list[T]:
    """Those that fit one of the filters; all without one. `special` reads conditions that are written otherwise.

    Raises InvalidParameter.
    """
    if len(filters) > _MOST:
        raise InvalidParameter(f"more than {_MOST} filters")
    fits = [_compiled(one, values, special) for one in filters if one]
    return [record for record in records if not fits or any(fit(record) for fit in fits)]


def _compiled(text: str, values: Values[T], special: Callable[[str], Condition[T] | None]) -> Condition[T]:
    """All conditions of one filter. Fields may be quoted as in CSV, which is how buildx joins them."""
    try:
        (parts,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise InvalidParameter(f"failed to parse filter {text[:_LONGEST]!r}") from error
    conditions = [special(part) or _condition(part, values) for part in parts]
    return lambda record: all(condition(record) for condition in conditions)


def _condition(text: str, values: Values[T]) -> Condition[T]:
    match = _FILTER.fullmatch(text)
    if match is None or match[1] not in values or len(text) > _LONGEST:
        raise InvalidParameter(f"failed to parse filter {text[:_LONGEST]!r}")
    value, operator, wanted = values[match[1]], match[2], (match[3] or "").strip('"')
    if operator is None:
        return lambda record: value(record) not in ("", "false")
    if operator == "~=":
        return _like(text, value, wanted)
    return lambda record: (value(record) == wanted) != (operator == "!=")


def _like(text: str, value: Callable[[T], str], wanted: str) -> Condition[T]:
    if _WILD.search(wanted) or len(_QUANTIFIER.findall(wanted)) > _QUANTIFIERS:
        # Go's expressions take linear time, Python's may take forever.
        raise InvalidParameter(f"filter {text[:_LONGEST]!r}: the expression is too involved")
    try:
        pattern = re.compile(wanted)
    except (re.error, OverflowError) as error:
        raise InvalidParameter(f"failed to parse filter {text[:_LONGEST]!r}: {error}") from error
    return lambda record: pattern.search(value(record)[:_LONGEST]) is not None
