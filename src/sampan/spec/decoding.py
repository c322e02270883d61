"""Reading request bodies as leniently as Go does: nulls anywhere, one word for a list of words, unknown members ignored.

The first pass is msgspec's own. Only what it refuses takes the second: the document is read without types, every null
whose place admits none becomes the zero value that Go would have left there, and the result is converted.
"""

from typing import Generic, TypeVar

import msgspec
from msgspec import inspect

from sampan.errors import InvalidParameter

D = TypeVar("D")

_DEPTH = 64
"""Nesting that a body may have; no schema of the API comes near it."""


class Reader(Generic[D]):
    """Reads bodies of one type. Made once per route: compiling a decoder costs more than using it."""

    def __init__(self, of: type[D]) -> None:
        self._of = of
        self._decoder = msgspec.json.Decoder(of)
        self._type = inspect.type_info(of)

    def read(self, raw: bytes) -> D:
        """The document in `raw`; raises InvalidParameter with Docker's wording."""
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            return self._read_leniently(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParameter(f"invalid JSON: {error}") from error

    def _read_leniently(self, raw: bytes) -> D:
        try:
            loose = msgspec.json.decode(raw)
            return msgspec.convert(_fill(loose, self._type, 0), self._of)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParameter(f"invalid JSON: {error}") from error


def _fill(value: object, kind: inspect.Type, depth: int) -> object:
    """`value` with what Go tolerates put right, so that `kind` accepts it; everything else is left for msgspec to refuse."""
    if depth > _DEPTH:
        raise InvalidParameter("invalid JSON: exceeded max depth")
    one_word = False
    while isinstance(kind, inspect.Metadata):
        one_word = one_word or bool((kind.extra or {}).get("string_is_one"))
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        if value is None:
            return None
        kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    if one_word and isinstance(value, str):
        return [value]
    if value is None:
        return _zero(kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        return _fill_struct(value, kind, depth)
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {key: _fill(item, kind.value_type, depth + 1) for key, item in value.items()}
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        return [_fill(item, kind.item_type, depth + 1) for item in value]
    return value


def _fill_struct(value: dict[str, object], kind: inspect.StructType, depth: int) -> dict[str, object]:
    fields = {field.encode_name: field for field in kind.fields}
    return {
        name: _fill(item, fields[name].type, depth + 1)
        for name, item in value.items()
        if name in fields and (item is not None or _admits_none(fields[name].type))
    }


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
