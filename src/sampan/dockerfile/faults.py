"""Where something stands in a Dockerfile, and what is wrong with one."""

from collections.abc import Iterable
from typing import NamedTuple

from sampan.errors import InvalidParameter

_NEAR = 3
_QUOTED = 200


class Position(NamedTuple):
    """A character of the file; line and column count from 1, columns in code points."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class Range(NamedTuple):
    """From the first character to behind the last."""

    start: Position
    end: Position

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


class DockerfileError(InvalidParameter):
    """A Dockerfile is wrong. `message` is BuildKit's wording, `at` the place where one is known."""

    def __init__(self, message: str, at: Range | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class ParseError(DockerfileError):
    """The text is no Dockerfile; as text it names the line, as Docker does."""

    def __str__(self) -> str:
        if self.at is None:
            return self.message
        return f"dockerfile parse error on line {self.at.start.line}: {self.message}"


def quoted(text: str) -> str:
    """`text` as a message shows it: in double quotes, on one line, bounded."""
    if len(text) > _QUOTED:
        text = text[:_QUOTED] + "…"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    shown = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return (
        '"'
        + "".join(shown.get(char) or (char if char.isprintable() else f"\\u{ord(char):04x}") for char in escaped)
        + '"'
    )


def suggestion(word: str, options: Iterable[str], case_matters: bool = True) -> str:
    """` (did you mean X?)` for the option nearest to `word`, at most two letters away; else nothing."""
    nearest = closest(word, options, case_matters)
    return f" (did you mean {nearest}?)" if nearest else ""


def closest(word: str, options: Iterable[str], case_matters: bool = True) -> str:
    """The option nearest to `word`, at most two letters away, in its case where case does not matter; "" for none."""
    wanted = word if case_matters else word.lower()
    best, found = _NEAR, ""
    for option in sorted(options):
        candidate = option if case_matters else option.lower()
        if candidate == wanted:
            return ""
        far = _distance(wanted, candidate, best)
        if far < best:
            best, found = far, candidate
    if case_matters or word == word.lower():
        return found
    return found.upper() if word == word.upper() else found


def _distance(left: str, right: str, limit: int) -> int:
    """How many letters are to be put in, taken out or replaced; `limit` where it is no less."""
    if abs(len(left) - len(right)) >= limit:
        return limit
    row = list(range(len(right) + 1))
    for index, letter in enumerate(left, 1):
        previous, row[0] = row[0], index
        for column, other in enumerate(right, 1):
            previous, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, previous + (letter != other))
    return min(row[-1], limit)
