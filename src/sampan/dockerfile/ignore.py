"""`.dockerignore`: which files of a context are left out. Patterns and their order as moby's patternmatcher has them.

*.log        in the context's root        **/*.log   anywhere
node_modules and everything below         !keep.log  not left out after all; the last pattern that fits decides

A command that sends a context starts with this module: what it needs rarely is loaded late.
"""

from __future__ import annotations

import posixpath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PATTERN_LIMIT = 10_000
_LENGTH = 4096
_WILD = "*?[]\\"


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


Verdict = tuple[bool, int]
"""Whether a path is left out, and which patterns fit it or what it lies in, as bits."""


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

    def enter(self, path: str, above: Verdict | None) -> Verdict:
        """The same for an entry of a directory whose own verdict is `above` (None for the root's): each pattern is asked once."""
        fits = 0
        ignored = False
        inherited = above[1] if above is not None else 0
        bit = 1
        for pattern in self._patterns:
            if inherited & bit or pattern.matches(path):
                fits |= bit
                ignored = not pattern.inverted
            bit <<= 1
        return ignored, fits

    def may_keep_below(self, path: str) -> bool:
        """Whether a pattern with `!` may keep something below the directory `path`, which is left out."""
        return any(pattern.may_fit_below(path) for pattern in self._patterns if pattern.inverted)

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
        self.matches = _matcher(self.text)

    def may_fit_below(self, path: str) -> bool:
        """Whether the pattern may fit something below `path`: told by the part before its first wildcard."""
        if _is_plain(self.text):
            return self.text.startswith(path + "/")
        plain = self.text[: min(self.text.index(char) for char in _WILD if char in self.text)]
        return plain.startswith(path + "/") or (path + "/").startswith(plain)

    def matches_any(self, paths: Iterable[str]) -> bool:
        return any(map(self.matches, paths))


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
    if pattern.startswith("**/*") and _is_plain(pattern[4:]) and "/" not in pattern[4:]:
        suffix = pattern[4:]
        return lambda path: path.endswith(suffix)
    before, star, after = pattern.partition("*")
    if star and _is_plain(before + after) and "/" not in after:
        shortest, place = len(before) + len(after), len(before)
        return lambda path: (
            len(path) >= shortest and path.startswith(before) and path.endswith(after) and "/" not in path[place:]
        )
    from sampan.dockerfile.ignore_wildcards import wildcard

    return wildcard(pattern).matches


def _is_plain(text: str) -> bool:
    return not any(char in _WILD for char in text)


def _clean(path: str) -> str:
    """Go's filepath.Clean."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned
