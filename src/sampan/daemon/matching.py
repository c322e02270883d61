"""How the values of a filter (`--filter key=value`) are compared, in Docker's ways. Pure.

A filter that was not given matches everything; one that was given matches if any of its values does.
"""

import re
from collections.abc import Collection, Mapping

from sampan.errors import InvalidParameter

Filters = Mapping[str, Collection[str]]
"""Values by key, as `api` decoded them."""


def check_keys(filters: Filters, allowed: Collection[str]) -> None:
    """Refuse keys that a verb does not have. Raises InvalidParameter in Docker's words."""
    for key in filters:
        if key not in allowed:
            raise InvalidParameter(f"invalid filter '{key}'")


def exact(filters: Filters, key: str, value: str) -> bool:
    """`value` is one of those asked for."""
    asked = filters.get(key)
    return not asked or value in asked


def prefix(filters: Filters, key: str, value: str) -> bool:
    """`value` begins with one of those asked for."""
    asked = filters.get(key)
    return not asked or any(value.startswith(start) for start in asked)


def pattern(filters: Filters, key: str, value: str) -> bool:
    """One of those asked for, as a regular expression, is found in `value`; plain text that is none is compared."""
    asked = filters.get(key)
    if not asked or value in asked:
        return True
    return any(_found(expression, value) for expression in asked)


_LONGEST_PATTERN = 256


def _found(expression: str, value: str) -> bool:
    if len(expression) > _LONGEST_PATTERN:
        return False
    try:
        return re.search(expression, value) is not None
    except re.error:
        return False


def labels(filters: Filters, key: str, there: Mapping[str, str]) -> bool:
    """Every `name` or `name=value` asked for is among the labels."""
    for asked in filters.get(key) or ():
        name, equals, value = asked.partition("=")
        if name not in there or (equals and there[name] != value):
            return False
    return True


def boolean(filters: Filters, key: str, *, default: bool) -> bool:
    """A yes or no. Raises InvalidParameter for anything else, or for both."""
    asked = filters.get(key)
    if not asked:
        return default
    yes = any(value in ("1", "true", "True", "TRUE", "t", "T") for value in asked)
    no = any(value in ("0", "false", "False", "FALSE", "f", "F") for value in asked)
    if yes == no:
        raise InvalidParameter(f"invalid filter '{key}=[{' '.join(asked)}]'")
    return yes
