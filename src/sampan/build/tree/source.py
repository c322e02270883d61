"""A tree that COPY and ADD take files from."""

from dataclasses import dataclass
from enum import Enum, auto

from sampan.errors import NotFound


class Origin(Enum):
    """Where a tree is from: that decides whether ADD unpacks its archives, and how a missing file is told."""

    CONTEXT = auto()
    STAGE = auto()
    DOCUMENTS = auto()
    URL = auto()
    GIT = auto()


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A directory as the root of what a source holds. Whoever made it closes `root`, after the last use.

    `file`: the tree is this one file in the root, and "." means it; "" for a tree that is a directory.
    """

    root: int
    """a descriptor of the directory, readable or O_PATH"""
    label: str
    """for messages: `context`, a stage's name, a URL"""
    origin: Origin = Origin.CONTEXT
    file: str = ""


class SourceMissing(NotFound):
    """A path of COPY or ADD is not in its source. The text is Docker's behind `COPY failed: `."""

    def __init__(self, path: str, origin: Origin) -> None:
        where = "file not found in build context or excluded by .dockerignore: " if origin is Origin.CONTEXT else ""
        super().__init__(f"{where}stat {path}: file does not exist")
        self.path = path
