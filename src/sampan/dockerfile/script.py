"""A Dockerfile's text as logical lines: directives, comments, continuations, bodies of heredocs. Knows no instruction.

Every character of a logical line knows where it stood: a line is a chain of segments, each a piece of one line of the file.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from sampan.dockerfile.faults import ParseError, Position, Range

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace takes for a space; Python's `isspace` takes more."""

SIZE_LIMIT = 4 << 20
"""Bytes of a Dockerfile."""
LINE_LIMIT = 65535
"""Bytes of one line of the file, as BuildKit's scanner has it."""

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(\S.*)", re.ASCII)
_KNOWN_DIRECTIVES = ("syntax", "escape", "check")
_CONTINUED = {mark: re.compile(rf"(?:(?<=[^{re.escape(mark)}])|^){re.escape(mark)}[ \t]*$") for mark in "\\`"}


@dataclass(frozen=True, slots=True)
class Directive:
    """`# name=value` above everything else; `name` in lower case."""

    name: str
    value: str
    at: Range


@dataclass(slots=True)
class LogicalLine:
    """An instruction's text, continuations joined and comments between them gone."""

    text: str
    comments: tuple[str, ...] = ()
    """the comments right above it"""
    blank: Range | None = None
    """the last empty line among its continuations, which Docker deprecates"""
    starts: list[int] = field(default_factory=list)
    places: list[Position] = field(default_factory=list)

    def append(self, text: str, place: Position) -> None:
        """Put a piece of a line of the file behind what is there."""
        self.starts.append(len(self.text))
        self.places.append(place)
        self.text += text

    def position(self, offset: int) -> Position:
        """Where the character at `offset` stands in the file."""
        index = max(bisect_right(self.starts, offset) - 1, 0)
        line, column = self.places[index]
        return Position(line, column + offset - self.starts[index])

    def range(self, start: int, end: int) -> Range:
        """Where `text[start:end]` stands in the file."""
        if end <= start:
            return Range(self.position(start), self.position(start))
        last = self.position(end - 1)
        return Range(self.position(start), Position(last.line, last.column + 1))

    @property
    def whole(self) -> Range:
        """Where all of it stands."""
        return self.range(0, len(self.text))


class Script:
    """Reads logical lines one after the other. `directives`, `escape` and `end` are those of what was read so far.

    Raises ParseError for a file or line that is too long, and for directives that are repeated or wrong.
    """

    def __init__(self, text: str) -> None:
        if len(text) > SIZE_LIMIT:
            raise ParseError(f"the Dockerfile is larger than {SIZE_LIMIT} bytes")
        self._lines = text.removeprefix("\ufeff").split("\n")
        if self._lines[-1] == "":
            self._lines.pop()
        self._at = 0
        self._directives_over = False
        self._comments: list[str] = []
        self.directives: list[Directive] = []
        self.escape = "\\"

    def __iter__(self) -> Iterator[LogicalLine]:
        while self._at < len(self._lines):
            line = self._logical_line()
            if line is not None:
                yield line
                self._comments = []

    def heredoc(self, terminator: str, tabs_stripped: bool, line: LogicalLine) -> tuple[str, Range]:
        """The lines up to `terminator`, which is passed over, and where they stand. Raises ParseError where it never comes."""
        first = self._at
        while self._at < len(self._lines):
            candidate = self._take().rstrip("\r")
            if (candidate.lstrip("\t") if tabs_stripped else candidate) == terminator:
                body = "".join(f"{one}\n" for one in self._lines[first : self._at - 1])
                return body, Range(Position(first + 1, 1), Position(self._at, len(candidate) + 1))
        raise ParseError("unterminated heredoc", line.whole)

    def _take(self) -> str:
        raw = self._lines[self._at]
        self._at += 1
        if len(raw) > LINE_LIMIT or len(raw.encode(errors="surrogatepass")) > LINE_LIMIT:
            start = Position(self._at, 1)
            raise ParseError(f"dockerfile line greater than max allowed size of {LINE_LIMIT}", Range(start, start))
        return raw

    def _logical_line(self) -> LogicalLine | None:
        raw = self._take().rstrip("\r\n")
        text = raw.lstrip(SPACE)
        start = Position(self._at, len(raw) - len(text) + 1)
        if text.startswith("#"):
            self._comment(text, Range(start, Position(self._at, len(raw) + 1)))
            return None
        self._directives_over = True
        text, goes_on = self._cut(text)
        if not text and not goes_on:
            return None
        line = LogicalLine("", tuple(self._comments))
        line.append(text, start)
        while goes_on and self._at < len(self._lines):
            goes_on = self._continuation(line)
        return line

    def _continuation(self, line: LogicalLine) -> bool:
        raw = self._take().rstrip("\r\n")
        bare = raw.strip(SPACE)
        start = Position(self._at, 1)
        if bare.startswith("#"):
            return True
        if not bare:
            line.blank = Range(start, Position(self._at, len(raw) + 1))
            return True
        text, goes_on = self._cut(raw)
        line.append(text, start)
        return goes_on

    def _cut(self, text: str) -> tuple[str, bool]:
        """`text` without the mark of a continuation, and whether there was one."""
        if not text.rstrip(" \t").endswith(self.escape):
            return text, False
        found = _CONTINUED[self.escape].search(text)
        return (text[: found.start()], True) if found else (text, False)

    def _comment(self, text: str, at: Range) -> None:
        words = text[1:].strip(SPACE)
        found = None if self._directives_over else _DIRECTIVE.fullmatch(words)
        if found is not None and found[1].lower() in _KNOWN_DIRECTIVES:
            self._directive(Directive(found[1].lower(), found[2], at))
            return
        self._directives_over = True
        if words:
            self._comments.append(words)
        else:
            self._comments = []

    def _directive(self, directive: Directive) -> None:
        if any(one.name == directive.name for one in self.directives):
            raise ParseError(f"only one {directive.name} parser directive can be used", directive.at)
        self.directives.append(directive)
        if directive.name == "escape":
            if directive.value not in _CONTINUED:
                raise ParseError(f"invalid escape token '{directive.value}' does not match ` or \\", directive.at)
            self.escape = directive.value
