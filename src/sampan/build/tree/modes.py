"""`--chmod`: an octal number, or what chmod(1) knows as a symbolic mode, with a umask of 0."""

import re
import stat
from collections.abc import Callable

from sampan.errors import InvalidParameter

_HIGHEST = 0o7777
_INVALID = "invalid chmod parameter: '{}'. it should be octal string and between 0 and 07777"
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]+|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]+|[rwxXst]*)")
_CLASSES = {"u": 6, "g": 3, "o": 0}
_SET_ID = {"u": stat.S_ISUID, "g": stat.S_ISGID}


class BadMode(InvalidParameter):
    """The mode is none."""


Change = Callable[[int], int]
"""Of a whole st_mode: the permissions that it has afterwards."""


def parse_mode(text: str) -> Change:
    """What `text` does to a mode. Raises BadMode."""
    if text[:1].isdigit():
        return _absolute(text)
    actions: list[tuple[str, str, str]] = []
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise BadMode(f"{_INVALID.format(text)}, or a mode of chmod(1)")
        actions += [(match[1] or "a", operator, what) for operator, what in _ACTION.findall(match[2])]
    return lambda mode: _applied(actions, mode)


def absolute_mode(text: str) -> int | None:
    """The number that `text` is; None where it is symbolic or empty: what new parents get, too. Raises BadMode."""
    return _absolute(text)(0) if text[:1].isdigit() else None


def _absolute(text: str) -> Change:
    if re.fullmatch(r"[0-7]+", text) is None or int(text, 8) > _HIGHEST:
        raise BadMode(_INVALID.format(text))
    number = int(text, 8)
    return lambda _mode: number


def _applied(actions: list[tuple[str, str, str]], mode: int) -> int:
    # `X` looks at what the mode was before all, as BSD's setmode has it.
    searchable = bool(mode & 0o111) or stat.S_ISDIR(mode)
    result = stat.S_IMODE(mode)
    for classes, operator, what in actions:
        who = "ugo" if "a" in classes else classes
        bits = _bits(who, what, result, searchable)
        if operator == "+":
            result |= bits
        elif operator == "-":
            result &= ~bits
        else:
            result = (result & ~_cleared(who)) | bits
    return result


def _cleared(who: str) -> int:
    return sum((0o7 << _CLASSES[one]) | _SET_ID.get(one, 0) for one in set(who))


def _bits(who: str, what: str, mode: int, searchable: bool) -> int:
    bits = 0
    if what and what[0] in _CLASSES:
        copied = 0
        for one in what:
            copied |= (mode >> _CLASSES[one]) & 0o7
    else:
        copied = sum({"r": 4, "w": 2, "x": 1}.get(one, 0) for one in set(what))
        copied |= searchable and "X" in what
    for one in set(who):
        bits |= copied << _CLASSES[one]
        if "s" in what:
            bits |= _SET_ID.get(one, 0)
    if "t" in what and set(who) != {"o"}:
        bits |= stat.S_ISVTX
    return bits
