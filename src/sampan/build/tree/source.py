"""A tree that COPY and ADD take files from."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import BinaryIO, Protocol

from sampan.build.tree import writing
from sampan.build.tree.from_directory import directory_tops
from sampan.build.tree.selection import Below, Wanted
from sampan.errors import NotFound


class Origin(Enum):
    """Where a tree is from: that decides whether ADD unpacks its archives, and how a missing file is told."""

    CONTEXT = auto()
    STAGE = auto()
    DOCUMENTS = auto()
    URL = auto()
    GIT = auto()


class Top(writing.Top, Protocol):
    """One of the things that a path means; close it."""

    name: bytes
    is_directory: bool

    @property
    def item(self) -> writing.Item:
        """The file that it is."""
        ...

    def content(self) -> BinaryIO | None:
        """What the file holds; None where it is no regular file. Raises OSError."""
        ...

    def below(self, wanted: Wanted, /) -> Iterator[Below[writing.Item]]:
        """What is taken of the directory that it is. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class SourceTree(Protocol):
    """What a source holds. `label` for messages: a stage's name, a URL.

    `file`: the tree is this one file in its root, and "." means it; "" for a tree that is a directory.
    """

    label: str
    origin: Origin
    file: str

    def tops(self, wanted: Wanted) -> Iterator[Top]:
        """What a path means here. Raises FileNotFoundError, NotADirectoryError, OSError (ELOOP)."""
        ...

    def directory(self) -> int:
        """A descriptor of the tree as a directory, good as long as the tree. Raises OSError."""
        ...


class DirectoryTree:
    """A directory as the root of what a source holds. Whoever made it closes `root`, after the last use."""

    def __init__(self, root: int, label: str, origin: Origin = Origin.CONTEXT, file: str = "") -> None:
        """`root`: a descriptor of the directory, readable or O_PATH."""
        self.root = root
        self.label = label
        self.origin = origin
        self.file = file

    def tops(self, wanted: Wanted) -> Iterator[Top]:
        """See `SourceTree`."""
        return directory_tops(self.root, wanted)

    def directory(self) -> int:
        """See `SourceTree`."""
        return self.root


class SourceMissing(NotFound):
    """A path of COPY or ADD is not in its source. The text is Docker's behind `COPY failed: `."""

    def __init__(self, path: str, origin: Origin) -> None:
        where = "file not found in build context or excluded by .dockerignore: " if origin is Origin.CONTEXT else ""
        super().__init__(f"{where}stat {path}: file does not exist")
        self.path = path
