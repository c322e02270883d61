"""Flags of an instruction: `--name=value`, checked against those it knows."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from sampan.dockerfile.faults import ParseError, Range, suggestion
from sampan.dockerfile.instructions import Word


class Kind(Enum):
    """What a flag takes."""

    SWITCH = "switch"
    """nothing, `true` or `false`"""
    TEXT = "text"
    LIST = "list"
    """may be given several times"""


class Flags:
    """The flags that were given. Raises ParseError for one that is unknown, given twice or without its value."""

    def __init__(self, given: Sequence[Word], known: Mapping[str, Kind]) -> None:
        self._values: dict[str, list[Word]] = {}
        for word in given:
            flag, equals, value = word.text.partition("=")
            name = flag[2:]
            kind = known.get(name)
            if kind is None:
                raise ParseError(f"unknown flag: {flag}{suggestion(name, known)}", word.at)
            if name in self._values and kind is not Kind.LIST:
                raise ParseError(f"duplicate flag specified: {flag}", word.at)
            if kind is Kind.SWITCH:
                value = _switch(word, flag, value, bool(equals))
            elif not equals:
                raise ParseError(f"missing a value on flag: {flag}", word.at)
            self._values.setdefault(name, []).append(Word(value, word.at))

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag."""
        word = self.word(name)
        return default if word is None else word.text

    def word(self, name: str) -> Word | None:
        """The value with its place; None where the flag was not given."""
        return self._values[name][0] if name in self._values else None

    def place(self, name: str) -> Range | None:
        """Where the flag was given."""
        word = self.word(name)
        return None if word is None else word.at

    def words(self, name: str) -> tuple[Word, ...]:
        """Every value of a flag that may be repeated."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """None where the switch was not given."""
        word = self.word(name)
        return None if word is None else word.text == "true"


def known(texts: Iterable[str] = (), switches: Iterable[str] = (), lists: Iterable[str] = ()) -> dict[str, Kind]:
    """The flags an instruction knows."""
    return {
        **dict.fromkeys(texts, Kind.TEXT),
        **dict.fromkeys(switches, Kind.SWITCH),
        **dict.fromkeys(lists, Kind.LIST),
    }


def _switch(word: Word, flag: str, value: str, equals: bool) -> str:
    if equals and not value:
        raise ParseError(f"missing a value on flag: {flag}", word.at)
    if value.lower() not in ("", "true", "false"):
        raise ParseError(f"expecting boolean value for flag {flag}, not: {value}", word.at)
    return value.lower() or "true"
