"""`<<EOF`: which heredocs a line announces, and what is made of their bodies."""

import re
from dataclasses import dataclass

from sampan.dockerfile.faults import DockerfileError, Range
from sampan.dockerfile.words import Quotes, Rules, expand

_WORD = re.compile(r"(\d*)<<(-?)[\t\n\f\r ]*([^<]*)", re.ASCII)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_BARE = Rules(keep_unset=True)
_QUOTED = Rules(quotes=Quotes.KEPT, keep_unset=True)
_LINE = Rules(quotes=Quotes.KEPT, keep_escapes=True, keep_unset=True)


@dataclass(frozen=True, slots=True)
class Mark:
    """`<<EOF` in a line: the word that ends the body, and how the body is read."""

    name: str
    expand: bool
    """variables are put in: no part of the word is quoted"""
    tabs_stripped: bool
    """`<<-`: tabs in front of lines do not count"""
    descriptor: int = 0


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc with the lines that were read for it, as they are in the file."""

    mark: Mark
    body: str
    at: Range

    @property
    def content(self) -> str:
        """The body as it is meant: without leading tabs for `<<-`."""
        return _LEADING_TABS.sub("", self.body) if self.mark.tabs_stripped else self.body


def parse_mark(word: str) -> Mark | None:
    """The heredoc that `word` announces; None where it is another word. Raises DockerfileError for quotes that stay open."""
    match = _WORD.fullmatch(word)
    if match is None or not match[3]:
        return None
    bare = expand(match[3], {}, _BARE).words
    if len(bare) != 1:
        return None
    raw = expand(match[3], {}, _QUOTED).words
    unquoted = sum(map(bare[0].count, "'\"")) == sum(map("".join(raw).count, "'\""))
    return Mark(bare[0], unquoted, match[2] == "-", int(match[1][:9] or 0))


def announced(line: str) -> list[Mark]:
    """The heredocs of a line, in the order of their bodies. Raises DockerfileError."""
    try:
        words = expand(line, {}, _LINE).words
    except DockerfileError:
        return []  # RUN's text is the shell's: what is no word here may be one there
    return [mark for word in words if (mark := parse_mark(word)) is not None]
