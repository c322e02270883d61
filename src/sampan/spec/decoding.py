"""Reading request bodies as leniently as Go does: nulls anywhere, one word for a list of words, names in any case, unknown
members ignored.

The first pass is msgspec's own. Only what it refuses, or would pass over for the case of a name, takes the second: the
document is read without types, every null whose place admits none becomes the zero value that Go would have left there,
and the result is converted.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec
from msgspec import inspect

from sampan.errors import InvalidParameter

D = TypeVar("D")


class Reader(Generic[D]):
    """Reads bodies of one type. Made once per route: compiling a decoder costs more than using it."""

    def __init__(self, of: type[D]) -> None:
        self._of = of
        self._decoder = msgspec.json.Decoder(of)
        kind = inspect.type_info(of)
        self._fill = _filler(kind)
        self._names = frozenset(name.encode() for name in _names(kind))
        self._folded = frozenset(name.lower() for name in self._names)

    def read(self, raw: bytes) -> D:
        """The document in `raw`; raises InvalidParameter with Docker's wording."""
        try:
            found = self._decoder.decode(raw)
        except msgspec.ValidationError:
            return self._read_leniently(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParameter(f"invalid JSON: {error}") from error
        return self._read_leniently(raw) if self._spelt_otherwise(raw) else found

    def _spelt_otherwise(self, raw: bytes) -> bool:
        """Whether a word that could be a member's name is one but for its case: Go takes it, and docker-py sends such."""
        unknown = set(raw.split(b'"')) - self._names  # six times as fast as looking for names alone
        return not self._folded.isdisjoint(map(bytes.lower, unknown))

    def _read_leniently(self, raw: bytes) -> D:
        try:
            loose = msgspec.json.decode(raw)
            return msgspec.convert(self._fill(loose), self._of)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParameter(f"invalid JSON: {error}") from error


Fill = Callable[[object], object]
"""Puts right what Go tolerates in one value, so that msgspec accepts it; everything else is left for msgspec to refuse."""


def _filler(kind: inspect.Type) -> Fill:
    """Made once for each type: docker-py sends nulls for strings with every create."""
    one_word = False
    while isinstance(kind, inspect.Metadata):
        one_word = one_word or bool((kind.extra or {}).get("string_is_one"))
        kind = kind.type
    nullable = isinstance(kind, inspect.UnionType)
    if isinstance(kind, inspect.UnionType):
        kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    zero = None if nullable else _zero(kind)
    inner = _inner(kind)

    def fill(value: object) -> object:
        if value is None:
            return zero
        if one_word and isinstance(value, str):
            return [value]
        return inner(value) if inner is not None else value

    return fill


def _inner(kind: inspect.Type) -> Fill | None:
    """What there is to do within a value that is no null."""
    if isinstance(kind, inspect.StructType):
        fields = {
            field.encode_name: (field.encode_name, _filler(field.type), _admits_none(field.type))
            for field in kind.fields
        }
        folded = {name.lower(): field for name, field in fields.items()}
        return lambda value: _fill_struct(value, fields, folded) if isinstance(value, dict) else value
    if isinstance(kind, inspect.DictType):
        of_value = _filler(kind.value_type)
        return lambda value: {key: of_value(item) for key, item in value.items()} if isinstance(value, dict) else value
    if isinstance(kind, inspect.VarTupleType):
        of_item, length = _filler(kind.item_type), kind.max_length
        return lambda value: _of_length([of_item(item) for item in value], length) if isinstance(value, list) else value
    return None


def _of_length(items: list[object], length: int | None) -> list[object]:
    """Into Go's array of numbers: what is missing is zero, what is too much is left out."""
    return items if length is None else [*items, *(0,) * length][:length]


_Fields = dict[str, tuple[str, Fill, bool]]


def _fill_struct(value: dict[str, object], fields: _Fields, folded: _Fields) -> dict[str, object]:
    """A member that is null where none may be is left out, and gets its default; so is one that nobody knows."""
    filled = {}
    for given, item in value.items():
        known = fields.get(given) or folded.get(given.lower())
        if known is not None:
            name, fill, admits_none = known
            if item is not None or admits_none:
                filled[name] = fill(item)
    return filled


def _names(kind: inspect.Type) -> Iterator[str]:
    """Names of members, at any depth."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _names(member)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield field.encode_name
            yield from _names(field.type)
    elif isinstance(kind, inspect.DictType):
        yield from _names(kind.value_type)
    elif isinstance(kind, inspect.VarTupleType):
        yield from _names(kind.item_type)


def _admits_none(kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _zero(kind: inspect.Type) -> object:
    """What Go leaves in a list's or map's element for a null."""
    match kind:
        case inspect.StrType():
            return ""
        case inspect.IntType():
            return 0
        case inspect.BoolType():
            return False
        case inspect.VarTupleType():
            return []
        case inspect.StructType() | inspect.DictType():
            return {}
        case _:
            return None
