"""Reading a query string as Docker reads its forms."""

import math
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from sampan.errors import InvalidParameter, System
from sampan.spec.decoding import Reader
from sampan.spec.requests import Filters

T = TypeVar("T")

_FALSE = frozenset(("", "0", "no", "false", "none"))
_FILTERS = msgspec.json.Decoder(dict[str, dict[str, bool | None] | list[str | None] | None] | None)
_FIELDS = 1000


class Form:
    """The fields of a query. A field given twice has several values; most readers take the first."""

    __slots__ = ("_fields",)

    def __init__(self, query: str) -> None:
        fields: dict[str, list[str]] = {}
        if query:
            try:
                pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS, errors="surrogateescape")
            except ValueError as error:
                raise InvalidParameter(f"invalid query: {error}") from error
            for name, value in pairs:
                fields.setdefault(name, []).append(value)
        self._fields = fields

    def text(self, name: str, default: str = "") -> str:
        """The first value, or `default` where there is none."""
        values = self._fields.get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value."""
        return tuple(self._fields.get(name, ()))

    def has(self, name: str) -> bool:
        """Whether the field was given at all."""
        return name in self._fields

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean as Docker reads it: empty, 0, no, false and none are false, everything else is true."""
        values = self._fields.get(name)
        return default if values is None else values[0].strip().lower() not in _FALSE

    def document(self, name: str, reader: Reader[T], what: str) -> T | None:
        """JSON; None where it is missing, empty or null. Raises InvalidParameter that begins with `what`."""
        text = self.text(name)
        if not text or text == "null":
            return None
        try:
            return reader.read(text.encode("utf-8", "surrogateescape"))
        except InvalidParameter as error:
            raise InvalidParameter(f"{what}: {error}") from error

    def integer(self, name: str) -> int | None:
        """A number; None where it is missing or empty. Docker answers a bad one with 500 and Go's words, and so do we."""
        text = self.text(name)
        if not text:
            return None
        try:
            return _atoi(text)
        except ValueError as error:
            raise System(f'strconv.Atoi: parsing "{text}": invalid syntax') from error

    def size(self, name: str, of: str) -> int:
        """A terminal's height or width, 0 to 2³²-1; raises InvalidParameter that names it as `of`."""
        text = self.text(name)
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise InvalidParameter(f'invalid resize {of} "{text}": invalid syntax')
        if text.startswith("-") or int(text) >= 2**32:
            raise InvalidParameter(f'invalid resize {of} "{text}": value out of range')
        return int(text)

    def timestamp(self, name: str) -> int | None:
        """`seconds[.fraction]` since the epoch as nanoseconds; None where it is missing, empty."""
        text = self.text(name)
        if not text:
            return None
        seconds, dot, fraction = text.partition(".")
        try:
            nanoseconds = _atoi(seconds) * 1_000_000_000
            if dot:
                nanoseconds += math.trunc(_atoi(fraction) * 10 ** (9 - len(fraction)))
        except (ValueError, OverflowError) as error:
            raise InvalidParameter(f'invalid value for "{name}": "{text}" is not a timestamp') from error
        return nanoseconds

    def filters(self, name: str = "filters") -> Filters:
        """`{"label": {"a=b": true}}`, or the older `{"label": ["a=b"]}`. Raises InvalidParameter for anything else."""
        raw = self.text(name)
        if not raw:
            return {}
        try:
            given = _FILTERS.decode(raw.encode("utf-8", "surrogateescape")) or {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParameter("invalid filter") from error
        return {key: tuple(value or "" for value in values or ()) for key, values in given.items()}


def _atoi(text: str) -> int:
    """Go's Atoi: ASCII digits with a sign, within int64."""
    if not text.lstrip("+-").isdecimal() or not text.isascii() or len(text) > 20:
        raise ValueError(text)
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number
