"""`.dockerignore`: which files of a context are left out. Patterns and their order as moby's patternmatcher has them.

*.log        in the context's root        **/*.log   anywhere
node_modules and everything below         !keep.log  not left out after all; the last pattern that fits decides
"""

import posixpath
from collections.abc import Callable, Iterable, Sequence

from sampan.dockerfile.faults import quoted
from sampan.dockerfile.wildcards import Accepts, Step, Wildcard, literal

PATTERN_LIMIT = 10_000
_LENGTH = 4096


class BadIgnore(ValueError):
    """The file is no `.dockerignore`."""


def ignore_names(dockerfile: str) -> tuple[str, str]:
    """Where the patterns for a Dockerfile may stand, the first that exists counts."""
    return f"{dockerfile}.dockerignore", ".dockerignore"


def read_patterns(text: str) -> list[str]:
    """The patterns of an ignore file: comments and blanks gone, paths made relative. Raises BadIgnore."""
    found: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if line.startswith("#") or not pattern:
            continue
        inverted = pattern.startswith("!")
        pattern = pattern[1:].strip() if inverted else pattern
        if pattern:
            pattern = _clean(pattern)
            pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
        found.append(f"!{pattern}" if inverted else pattern)
        if len(found) > PATTERN_LIMIT:
            raise BadIgnore(f"more than {PATTERN_LIMIT} patterns")
    return found


class Ignore:
    """Patterns, compiled. Raises BadIgnore for a malformed one."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_Pattern(pattern.strip()) for pattern in patterns if pattern.strip()]
        self.has_exceptions = any(pattern.inverted for pattern in self._patterns)
        """there are patterns with `!`: something may be kept below a directory that is left out"""

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def ignores(self, path: str) -> bool:
        """Whether `path`, relative and with slashes, is left out: by itself or because it lies below what is."""
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        ignored = False
        for pattern in self._patterns:
            # A pattern can only change the verdict in its own direction.
            if pattern.inverted == ignored and pattern.matches_any(above):
                ignored = not pattern.inverted
        return ignored

    def excludes_root(self) -> bool:
        """Whether a pattern leaves out everything."""
        return any(one.text in ("*", "**", "**/*") for one in self._patterns if not one.inverted)


class _Pattern:
    def __init__(self, text: str) -> None:
        text = _clean(text)
        self.inverted = text.startswith("!")
        self.text = text[1:] if self.inverted else text
        if self.inverted and not self.text:
            raise BadIgnore('illegal exclusion pattern: "!"')
        if len(text) > _LENGTH:
            raise BadIgnore(f"pattern longer than {_LENGTH} characters")
        self._matches = _matcher(self.text)

    def matches_any(self, paths: Iterable[str]) -> bool:
        return any(map(self._matches, paths))


def _matcher(pattern: str) -> Callable[[str], bool]:
    """What stands in most files needs no wildcard: a name, `dir/**`, `**/name`, `*.suffix`."""
    if _is_plain(pattern):
        return lambda path: path == pattern
    if pattern.endswith("**") and _is_plain(pattern[:-2]):
        prefix = pattern[:-2]
        return lambda path: path.startswith(prefix)
    if pattern.startswith("**") and _is_plain(pattern[2:]):
        suffix = pattern[2:]
        return lambda path: path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])
    before, star, after = pattern.partition("*")
    if star and _is_plain(before + after) and "/" not in after:
        shortest, place = len(before) + len(after), len(before)
        return lambda path: (
            len(path) >= shortest and path.startswith(before) and path.endswith(after) and "/" not in path[place:]
        )
    return Wildcard(_steps(pattern)).matches


def _is_plain(text: str) -> bool:
    return not any(char in "*?[]\\" for char in text)


def _clean(path: str) -> str:
    """Go's filepath.Clean."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _any(_char: str) -> bool:
    return True


def _none(_char: str) -> bool:
    return False


def _not_slash(char: str) -> bool:
    return char != "/"


def _steps(pattern: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            at += pattern[at : at + 1] == "/"
            if at == len(pattern):
                steps.append(Step(_any, repeats=True))
            else:
                # Any number of directories, none included.
                steps += [Step(_none, optional=True), Step(_any, repeats=True), literal("/")]
        elif char == "*":
            steps.append(Step(_not_slash, repeats=True))
        elif char == "?":
            steps.append(Step(_not_slash))
        elif char == "\\":
            if at == len(pattern):
                raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
            steps.append(literal(pattern[at]))
            at += 1
        elif char == "[":
            accepts, at = _bracket(pattern, at)
            steps.append(Step(accepts))
        else:
            steps.append(literal(char))
    return steps


def _bracket(pattern: str, at: int) -> tuple[Accepts, int]:
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
            raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
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
        raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
    return char, at + 1
