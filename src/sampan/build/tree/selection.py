"""Which files one path of COPY or ADD means. Pure: paths in, verdicts out; who walks a tree asks.

path ── parse_path ──> Wanted: a base and a glob, which find the tops; a Filter for what lies below each top
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sampan.dockerfile.globs import BadGlob, Glob, has_wildcards, split_wildcards
from sampan.dockerfile.ignore import BadIgnore, Ignore
from sampan.errors import InvalidParameter


class BadSelection(InvalidParameter):
    """A pattern of COPY or ADD is malformed."""


class Filter:
    """What is taken of that which lies below a top. Paths are relative to the top."""

    def __init__(self, excludes: Ignore, includes: Ignore | None = None, prefix: str = "") -> None:
        """`includes`: what is wanted, None for everything; nothing of it lies elsewhere than at or below `prefix`."""
        self._excludes = excludes
        self._includes = includes
        self._prefix = prefix
        self.plain = includes is None and not excludes
        """everything is taken"""

    def takes(self, path: str) -> bool:
        """Whether `path` itself is taken; a directory that is not may hold what is."""
        if self._includes is not None and not self._includes.ignores(path):
            return False
        return not self._excludes.ignores(path)

    def enters(self, path: str) -> bool:
        """Whether something below the directory `path` can be taken."""
        if self._prefix and not _related(path, self._prefix):
            return False
        return self._excludes.has_exceptions or not self._excludes.ignores(path)


def _related(path: str, prefix: str) -> bool:
    """Whether one of them is the other or lies below it."""
    shorter, longer = sorted((path, prefix), key=len)
    return longer == shorter or longer.startswith(shorter + "/")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One path of a COPY or ADD. Paths are relative to the source's root, "" is the root itself."""

    written: str
    base: str
    """with `glob`: the directory that is searched; without: the top itself, whose links are followed"""
    glob: Glob | None
    filter: Filter
    required: bool
    """something must be found: no wildcard is in it"""
    parents: bool


def parse_path(path: str, excludes: Sequence[str] = (), parents: bool = False) -> Wanted:
    """`path` as it stands in the instruction; `..` does not lead above the root. Raises BadSelection."""
    try:
        ignore = Ignore(excludes)
        if not parents:
            base, pattern = split_wildcards(_relative(path))
            glob = Glob(pattern) if pattern else None
            return Wanted(path, base, glob, Filter(ignore), glob is None, parents=False)
        above, pivot, below = path.partition("/./")
        pattern = _relative(below if pivot else path)
        base, searched = split_wildcards(_relative(above) if pivot else "")
        includes = Ignore([pattern]) if pattern else None
        prefix = split_wildcards(pattern)[0]
        glob = Glob(searched) if searched else None
        required = glob is None and not has_wildcards(pattern)
        return Wanted(path, base, glob, Filter(ignore, includes, prefix), required, parents=True)
    except (BadGlob, BadIgnore) as error:
        raise BadSelection(str(error)) from error


def literal_path(name: str) -> Wanted:
    """A file in the root by its name, which is no pattern."""
    return Wanted(name, name, None, Filter(Ignore(())), True, parents=False)


def _relative(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/")


Item_co = TypeVar("Item_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Below(Generic[Item_co]):
    """Something below a top, its path relative to it."""

    path: str
    directory: bool
    item: Item_co


def chosen(entries: Iterable[Below[Item_co]], rule: Filter) -> Iterator[Below[Item_co]]:
    """What is taken of `entries`, which come with parents first; a directory on the way to what is taken comes before it."""
    if rule.plain:
        yield from entries
        return
    waiting: dict[str, Below[Item_co]] = {}
    for entry in entries:
        if rule.takes(entry.path):
            if waiting:
                yield from _ancestors(entry.path, waiting)
            yield entry
        elif entry.directory:
            waiting[entry.path] = entry


def _ancestors(path: str, waiting: dict[str, Below[Item_co]]) -> Iterator[Below[Item_co]]:
    """The directories on the way that have not been given, given now."""
    end = path.find("/")
    while end >= 0:
        found = waiting.pop(path[:end], None)
        if found is not None:
            yield found
        end = path.find("/", end + 1)
