"""An instruction's line taken apart: keyword, flags, arguments, and the arguments' forms. Knows no single instruction.

RUN --network=none  echo hello
│   │               └ rest: one text, a list of words, pairs, or a JSON array
│   └ flags
└ keyword
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.dockerfile.faults import ParseError, Range, quoted
from sampan.dockerfile.instructions import Pair, Word
from sampan.dockerfile.script import SPACE, LogicalLine

_GAP = re.compile(r"[\t\v\f\r ]+")
_NOT_STRINGS = "when using JSON array syntax, arrays must be comprised of strings only"


@dataclass(frozen=True, slots=True)
class Statement:
    """`rest` is the text behind the flags, without spaces around it; it starts at `offset` of `line`."""

    line: LogicalLine
    keyword: str
    flags: tuple[Word, ...]
    rest: str
    offset: int

    def fault(self, message: str, start: int | None = None, end: int | None = None) -> ParseError:
        """An error at a part of `rest`, or at the whole line."""
        if start is None:
            return ParseError(message, self.line.whole)
        return ParseError(message, self.place(start, len(self.rest) if end is None else end))

    def place(self, start: int, end: int) -> Range:
        """Where `rest[start:end]` stands in the file."""
        return self.line.range(self.offset + start, self.offset + end)

    def word(self) -> Word:
        """All of `rest` as one word."""
        return Word(self.rest, self.place(0, len(self.rest)))


def take_apart(line: LogicalLine, escape: str, start: int = 0) -> Statement:
    """The statement that begins at `start` of the line."""
    begin = start + len(line.text[start:]) - len(line.text[start:].lstrip(SPACE))
    end = len(line.text.rstrip(SPACE))
    gap = _GAP.search(line.text, begin, max(end, begin))
    if gap is None:
        return Statement(line, line.text[begin:end], (), "", end)
    flags, offset = _flags(line, gap.end(), end, escape)
    while offset < end and line.text[offset] in SPACE:
        offset += 1
    return Statement(line, line.text[begin : gap.start()], tuple(flags), line.text[offset:end], offset)


def _flags(line: LogicalLine, at: int, end: int, escape: str) -> tuple[list[Word], int]:
    """The words that begin with `--`, and where the rest starts. `--` alone ends them."""
    flags: list[Word] = []
    text = line.text
    while True:
        while at < end and text[at] in SPACE:
            at += 1
        if not text.startswith("--", at, end):
            return flags, at
        start = at
        word, at = _flag(text, at, end, escape)
        if word == "--":
            return flags, at
        flags.append(Word(word, line.range(start, at)))


def _flag(text: str, at: int, end: int, escape: str) -> tuple[str, int]:
    """One word without its quotes and escapes, and where it ends."""
    out: list[str] = []
    quote = ""
    while at < end:
        char = text[at]
        if not quote and char in SPACE:
            break
        at += 1
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char != escape:
            out.append(char)
        elif at < end:
            out.append(text[at])
            at += 1
    return "".join(out), at


def spaced_words(statement: Statement) -> list[Word]:
    """`rest` cut at blanks; quotes mean nothing here."""
    found: list[Word] = []
    at = 0
    for gap in [*_GAP.finditer(statement.rest), None]:
        end = gap.start() if gap else len(statement.rest)
        if end > at or statement.rest:
            found.append(Word(statement.rest[at:end], statement.place(at, end)))
        at = gap.end() if gap else end
    return found


def quoted_words(statement: Statement, escape: str) -> list[Word]:
    """`rest` cut at spaces outside quotes; quotes and escapes stay in the words."""
    return [Word(word, statement.place(start, end)) for word, start, end in _quoted(statement.rest, escape) if word]


def _quoted(text: str, escape: str) -> Iterator[tuple[str, int, int]]:
    out: list[str] = []
    quote, start, at = "", 0, 0
    while at < len(text):
        char = text[at]
        at += 1
        if not quote and char in SPACE:
            yield "".join(out), start, at - 1
            out, start = [], at
            continue
        if not out:
            start = at - 1
        if char == escape and quote != "'":
            if at == len(text):
                break  # nothing is left to escape
            out.append(char)
            char = text[at]
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        out.append(char)
    yield "".join(out), start, at


def pairs(statement: Statement, escape: str) -> list[Pair]:
    """`name=value …`, or the old `name the rest`. Raises ParseError."""
    words = quoted_words(statement, escape)
    if not words:
        return []
    if "=" not in words[0].text:
        parts = _GAP.split(statement.rest, maxsplit=1)
        if len(parts) < 2:
            raise statement.fault(f"{statement.keyword.upper()} must have two arguments", 0)
        return [Pair(parts[0], parts[1], statement.place(0, len(statement.rest)), spaced=True)]
    found: list[Pair] = []
    for word in words:
        name, equals, value = word.text.partition("=")
        if not equals:
            message = f"Syntax error - can't find = in {quoted(word.text)}. Must be of the form: name=value"
            raise ParseError(message, word.at)
        found.append(Pair(name, value, word.at))
    return found


def json_words(statement: Statement, text: str, start: int) -> tuple[str, ...] | None:
    """The strings of a JSON array; None where `text`, which starts at `start` of the rest, is none.

    Raises ParseError for an array of something else.
    """
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(word, str) for word in value):
        raise statement.fault(_NOT_STRINGS, start)
    return tuple(map(_whole, value))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _whole(text: str) -> str:
    """Half of a surrogate pair, which no UTF-8 can hold, becomes U+FFFD as in Go."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
