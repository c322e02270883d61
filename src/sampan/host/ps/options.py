"""The arguments of ps: a closed set of them, read as procps reads them. Pure.

What selects processes has no effect: the processes are given. What would show something else than columns of processes
(threads, trees, environments) is refused by its name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.errors import InvalidParameter, System
from sampan.host.ps.columns import COLUMNS

_FULL = "user=UID,pid,ppid,c,stime,tname,time,cmd"
_EXTRA_FULL = "user=UID,pid,ppid,c,sz,rss,psr,stime,tname,time,cmd"
_SHORT = "pid,tname,time,ucmd"
_BSD = "pid,tname,stat,bsdtime,args"
_BSD_USER = "user,pid,pcpu,pmem,vsz,rss,tname,stat,start_time,bsdtime,args"

_DASH_SELECTS = frozenset("eAadNw")
"""Letters behind a dash that choose processes or a width."""
_BSD_SELECTS = frozenset("axwTr")
_LONGEST = 4096
_MOST_COLUMNS = 64
_OTHERS_TITLE = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it shows, by the name in `COLUMNS`, and the title above it."""

    name: str
    title: str


def parse(text: str) -> tuple[Column, ...]:
    """The columns that `ps TEXT` shows. Raises InvalidParameter by name, System in Docker's words for a missing PID."""
    if len(text) > _LONGEST:
        raise InvalidParameter("ps: the options are too long")
    for name, title in _OTHERS_TITLE.findall(text):
        # Docker finds the container's processes by the column with this title.
        if name != "pid":
            raise System(f'specifying "{name}={title}" is not allowed')
    reading = _Reading(text.split())
    columns = tuple(reading.columns())
    if len(columns) > _MOST_COLUMNS:
        raise InvalidParameter(f"ps: more than {_MOST_COLUMNS} columns")
    if all(column.title != "PID" for column in columns):
        raise System("Couldn't find PID field in ps output")
    return columns


class _Reading:
    """One pass over the words: which format they choose."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._own: list[Column] = []
        self._formats: set[str] = set()
        self._bsd = False
        while self._words:
            self._word(self._words.pop(0))

    def columns(self) -> Iterator[Column]:
        """Those of -o in their order, or those of the format."""
        if self._own:
            if self._formats:
                raise InvalidParameter("ps: conflicting format options")
            yield from self._own
            return
        if len(self._formats) > 1:
            raise InvalidParameter("ps: conflicting format options")
        chosen = next(iter(self._formats), _BSD if self._bsd else _SHORT)
        for part in chosen.split(","):
            name, _, title = part.partition("=")
            yield Column(name, title or COLUMNS[name][0])

    def _word(self, word: str) -> None:
        if word.startswith("--"):
            self._long(word)
        elif word == "-aux":
            self._letters("aux", dash=False, word=word)
        elif word.startswith("-"):
            self._letters(word[1:], dash=True, word=word)
        else:
            self._letters(word, dash=False, word=word)

    def _long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if name != "--format":
            raise InvalidParameter(f"ps: the option {name} is not supported")
        self._format(value if equals else self._next(word))

    def _letters(self, letters: str, *, dash: bool, word: str) -> None:
        selects = _DASH_SELECTS if dash else _BSD_SELECTS
        formats = {"f": _FULL, "F": _EXTRA_FULL} if dash else {"u": _BSD_USER}
        if not letters:
            raise InvalidParameter(f"ps: the option {word} is not supported")
        self._bsd = self._bsd or not dash
        for at, letter in enumerate(letters):
            if letter == "o":
                self._format(letters[at + 1 :] or self._next(word))
                return
            if letter in formats:
                self._formats.add(formats[letter])
            elif letter not in selects:
                shown = f"-{letter}" if dash else letter
                raise InvalidParameter(f"ps: the option {shown} is not supported")

    def _next(self, word: str) -> str:
        if not self._words:
            raise InvalidParameter(f"ps: format specification must follow {word}")
        return self._words.pop(0)

    def _format(self, text: str) -> None:
        """`pid,comm`, or `pid,comm=TITLE`: a title goes on to the end of the word, commas included (POSIX)."""
        names, equals, title = text.partition("=")
        chosen = [name for name in names.split(",") if name]
        if not chosen:
            raise InvalidParameter(f'ps: empty format list "{text}"')
        for name in chosen:
            if name not in COLUMNS:
                raise InvalidParameter(f'ps: unknown user-defined format specifier "{name}"')
            self._own.append(Column(name, COLUMNS[name][0]))
        if equals:
            self._own[-1] = Column(chosen[-1], title)
