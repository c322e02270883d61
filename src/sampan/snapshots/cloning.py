"""How a driver of whole trees comes by one: by copying it, by a snapshot (btrfs), or as a driver of somebody else's has it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sampan.files.copying import copy_tree

Clone = Callable[[Path, Path], None]
"""Makes the second, which is not there, a copy of the directory that is the first. Raises OSError, and leaves nothing then."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


Fresh = Callable[[Path], None]
"""Makes an empty directory, which is not there, for a tree. Raises OSError."""


def clone_tree(source: Path, target: Path) -> None:
    """Implements `Clone`; blocks are shared where the file system can."""
    target.mkdir(mode=0o700)
    copy_directory(source, target, share=False)


def share_tree(source: Path, target: Path) -> None:
    """Implements `Clone` for trees that are never written to: their files are hard links where the file system allows it."""
    target.mkdir(mode=0o700)
    copy_directory(source, target, share=True)


def copy_directory(source: Path, target: Path, *, share: bool) -> None:
    """`files.copying.copy_tree` by names, into the empty directory `target`. What was copied before an OSError stays."""
    reading = os.open(source, _DIRECTORY)
    try:
        writing = os.open(target, _DIRECTORY)
        try:
            copy_tree(reading, writing, share)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _make_directory(place: Path) -> None:
    place.mkdir(mode=0o755)


def _stays(tree: Path) -> None:
    del tree


@dataclass(frozen=True, slots=True)
class Trees:
    """How a driver makes its trees."""

    clone: Clone = clone_tree
    """for what is written to: containers, drafts"""
    layer: Clone = share_tree
    """for a layer on top of another"""
    fresh: Fresh = _make_directory
    settle: Callable[[Path], None] = _stays
    """Called when nothing is written to a tree any more and others will be made of it. Raises OSError."""
    keeps_inodes: bool = False
    """Whether a clone's files have inode and time of change from what it was made of, until they are changed."""
