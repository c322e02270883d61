"""`builder` of daemon.json: how much room the build cache may take, and what builds may be allowed beyond the usual."""

from typing import TYPE_CHECKING

import msgspec

from sampan.daemon.config_values import parse_size
from sampan.daemon.times import parse_time
from sampan.errors import InvalidParameter

if TYPE_CHECKING:
    from sampan.build.cache.pruning import Budget, Rule


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    all: bool = False
    keep_storage: str = ""
    reserved_space: str = ""
    max_used_space: str = ""
    min_free_space: str = ""
    filter: list[str] = []


class _Gc(msgspec.Struct, frozen=True, rename="camel"):
    enabled: bool = True
    default_keep_storage: str = ""
    default_reserved_space: str = ""
    default_max_used_space: str = ""
    default_min_free_space: str = ""
    policy: list[_Rule] = []


class _Entitlements(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    network_host: bool = True
    security_insecure: bool = False


class _Builder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    gc: _Gc = _Gc()
    entitlements: _Entitlements = _Entitlements()


def granted(value: object) -> frozenset[str]:
    """The entitlements that a client may ask for, by BuildKit's names; Docker's where the key says nothing.

    Raises InvalidParameter.
    """
    found = _read(value).entitlements
    names = {"network.host": found.network_host, "security.insecure": found.security_insecure}
    return frozenset(name for name, given in names.items() if given)


def budget(value: object) -> "Budget":
    """What the key `builder` says; the usual budget where it says nothing. Raises InvalidParameter.

    `keepStorage` is the older name of `reservedSpace`. A size is a number with a unit (`20GB`, powers of 1024, as in Docker).
    """
    from sampan.build.cache.pruning import Budget

    gc = _read(value).gc
    return Budget(
        enabled=gc.enabled,
        reserved=_size("defaultReservedSpace", gc.default_reserved_space or gc.default_keep_storage),
        most=_size("defaultMaxUsedSpace", gc.default_max_used_space),
        free=_size("defaultMinFreeSpace", gc.default_min_free_space),
        rules=tuple(_rule(rule) for rule in gc.policy),
    )


def _read(value: object) -> _Builder:
    if isinstance(value, dict):
        value = {str(key).lower(): member for key, member in value.items()}  # Docker's own name is GC
    try:
        return msgspec.convert(value or {}, _Builder)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid builder: {error}") from error


def _rule(rule: _Rule) -> "Rule":
    from sampan.build.cache.pruning import Rule, parse_fields

    fields: dict[str, list[str]] = {}
    unused = 0
    for text in rule.filter:
        name, _, value = text.partition("=")
        if name in ("until", "unused-for"):
            now = 1 << 62
            unused = now - parse_time(value, now)
        else:
            fields.setdefault(name, []).append(value)
    return Rule(
        every=rule.all,
        unused=unused,
        reserved=_size("reservedSpace", rule.reserved_space or rule.keep_storage),
        most=_size("maxUsedSpace", rule.max_used_space),
        free=_size("minFreeSpace", rule.min_free_space),
        fields=parse_fields(fields),
    )


def _size(name: str, text: str) -> int:
    try:
        return parse_size(text) if text else 0
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid builder: {name}: {error}") from error
