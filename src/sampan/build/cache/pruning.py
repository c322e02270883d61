"""What of the cache goes: filters, ages and budgets, as BuildKit's rules say it. Pure: who calls does what is chosen.

Item ── fits the rule's filters, old enough, not in use ──▶ candidates
budget: kept bytes = most used, less what the disk lacks, at least what is reserved ──▶ least recently used first, until it fits
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sampan.build.cache.records import Kind
from sampan.errors import InvalidParameter

DAY = 24 * 3600 * 10**9
_FIELDS = frozenset({"id", "parent", "type", "description", "inuse", "shared", "private", "label", "label!"})
_YES, _NO = ("", "1", "t", "T", "true", "True", "TRUE"), ("0", "f", "F", "false", "False", "FALSE")
_LONGEST_PATTERN = 256
_GIGA = 10**9


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A record or the directory of a cache mount. Times in nanoseconds since the epoch, `size` in bytes."""

    id: str
    kind: Kind
    description: str
    size: int
    created: int
    used: int
    uses: int
    in_use: bool = False
    shared: bool = False
    parents: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a policy, or what one prune asks for. Sizes in bytes, `unused` in nanoseconds; 0 is no limit.

    `every` takes what images share and what is the builder's own, too. `fields`: each must fit.
    """

    every: bool = False
    unused: int = 0
    reserved: int = 0
    most: int = 0
    free: int = 0
    fields: Mapping[str, str] = {}
    types: tuple[str, ...] = ()


class Disk(msgspec.Struct, frozen=True):
    """The file system below the cache, in bytes."""

    total: int
    free: int


def chosen(items: Iterable[Item], rule: Rule, disk: Disk, now: int) -> list[Item]:
    """What the rule has go, the least recently used first. Raises InvalidParameter for a pattern that is none."""
    listed = list(items)
    candidates = sorted(
        (item for item in listed if _may_go(item, rule, now)), key=lambda item: (item.used, item.uses, item.id)
    )
    if not (rule.reserved or rule.most or rule.free):
        return candidates
    size = sum(item.size for item in listed if not item.shared)
    kept = _kept(size, rule, disk)
    going: list[Item] = []
    for item in candidates:
        if size <= kept:
            break
        size -= 0 if item.shared else item.size
        going.append(item)
    return going


def _kept(size: int, rule: Rule, disk: Disk) -> int:
    """Bytes that may stay."""
    lacking = max(rule.free - disk.free, 0) if rule.free else 0
    if not rule.most and not lacking:
        return rule.reserved or size
    kept = min(rule.most or size, size - lacking)
    return max(kept, rule.reserved)


def _may_go(item: Item, rule: Rule, now: int) -> bool:
    if item.in_use or (rule.unused and item.used > now - rule.unused):
        return False
    if not rule.every and (item.shared or item.kind is Kind.INTERNAL):
        return False
    if rule.types and item.kind not in rule.types:
        return False
    return all(_fits(item, field, value) for field, value in rule.fields.items())


def _fits(item: Item, field: str, value: str) -> bool:
    match field:
        case "id":
            return re.search(value, item.id) is not None
        case "parent":
            return value in item.parents
        case "type":
            return item.kind == value
        case "description":
            return item.description == value
        case "inuse":
            return item.in_use == (value in _YES)
        case "shared":
            return item.shared == (value in _YES)
        case "private":
            return item.shared != (value in _YES)
        case "label":
            return False  # nothing here has labels
        case _:
            return True


def parse_fields(filters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Filters as Docker takes them, one value each; times are the caller's. Raises InvalidParameter in Docker's words."""
    found: dict[str, str] = {}
    for key, values in filters.items():
        if key not in _FIELDS:
            raise InvalidParameter(f"invalid filter '{key}'")
        if len(values) > 1 and not key.startswith("label"):
            raise InvalidParameter("filters expect only one value")
        value = values[0] if values else ""
        if key in ("inuse", "shared", "private") and value not in (*_YES, *_NO):
            raise InvalidParameter(f"invalid filter '{key}={value}'")
        if key == "id":
            _check_pattern(value)
        found[key] = value
    return found


def _check_pattern(value: str) -> None:
    try:
        if len(value) > _LONGEST_PATTERN:
            raise re.error("too long")
        re.compile(value)
    except re.error as error:
        raise InvalidParameter(f"invalid filter 'id={value[:_LONGEST_PATTERN]}': {error}") from error


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`builder.gc` of daemon.json, sizes in bytes; 0 where it says nothing. `rules` take the place of the usual ones."""

    enabled: bool = True
    reserved: int = 0
    most: int = 0
    free: int = 0
    rules: tuple[Rule, ...] = ()

    def policy(self, disk: Disk) -> tuple[Rule, ...]:
        """The rules in their order, Docker 28's where the configuration has none of its own."""
        if not self.enabled:
            return ()
        if self.rules:
            return self.rules
        reserved = self.reserved or 2 * _GIGA
        usual = Rule(
            reserved=reserved, most=self.most or _share(disk.total, 80), free=self.free or _share(disk.total, 20)
        )
        easily_made = (Kind.LOCAL, Kind.MOUNT, Kind.GIT)
        return (
            Rule(types=easily_made, unused=2 * DAY, most=max(int(reserved * 0.138), 512 * 10**6)),
            msgspec.structs.replace(usual, unused=60 * DAY),
            usual,
            msgspec.structs.replace(usual, every=True),
        )


def _share(total: int, percent: int) -> int:
    return total * percent // 100
