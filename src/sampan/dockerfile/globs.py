"""Wildcards in the sources of COPY and ADD, as Go's filepath.Match has them: `*`, `?`, `[a-z]`; none of them fits a slash."""

from sampan.dockerfile.faults import quoted
from sampan.dockerfile.wildcards import Accepts, Step, Wildcard, literal


class BadGlob(ValueError):
    """The pattern is malformed."""


def has_wildcards(path: str) -> bool:
    """Whether there is a wildcard in `path` that no backslash takes the meaning of."""
    escaped = False
    for char in path:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in "*?[":
            return True
    return False


def split_wildcards(path: str) -> tuple[str, str]:
    """The parts in front of the first part with a wildcard, and the rest; "" where there is none."""
    parts = path.split("/")
    for place, part in enumerate(parts):
        if has_wildcards(part):
            return "/".join(parts[:place]), "/".join(parts[place:])
    return path, ""


class Glob:
    """A pattern for whole paths. Raises BadGlob for a malformed one."""

    def __init__(self, pattern: str) -> None:
        self._wildcard = Wildcard(_steps(pattern))
        self._depth = pattern.count("/")

    def matches(self, path: str) -> bool:
        """Whether `path` fits."""
        return path.count("/") == self._depth and self._wildcard.matches(path)

    def may_match_below(self, path: str) -> bool:
        """Whether something in the directory `path` can fit."""
        return path.count("/") < self._depth


def _steps(pattern: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            steps.append(Step(not_slash, repeats=True))
        elif char == "?":
            steps.append(Step(not_slash))
        elif char == "\\":
            if at == len(pattern):
                raise BadGlob(f"syntax error in pattern {quoted(pattern)}")
            steps.append(literal(pattern[at]))
            at += 1
        elif char == "[":
            accepts, at = bracket(pattern, at)
            steps.append(Step(accepts))
        else:
            steps.append(literal(char))
    return steps


def not_slash(char: str) -> bool:
    """What `*` and `?` fit."""
    return char != "/"


def bracket(pattern: str, at: int) -> tuple[Accepts, int]:
    """`[a-z]`, `[^a-z]` from behind the bracket: what it accepts, and where it ends."""
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while pattern[at : at + 1] != "]" or not ranges:
        low, at = _bracket_char(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _bracket_char(pattern, at + 1)
        if high < low:
            raise BadGlob(f"syntax error in pattern {quoted(pattern)}")
        ranges.append((low, high))
    return (lambda char: negated != any(low <= char <= high for low, high in ranges)), at + 1


def _bracket_char(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at : at + 1]
    if char == "\\":
        at += 1
        char = pattern[at : at + 1]
    elif char in ("-", "]"):
        char = ""
    if not char:
        raise BadGlob(f"syntax error in pattern {quoted(pattern)}")
    return char, at + 1
