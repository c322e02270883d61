"""How the driver vfs copies a tree: by itself, or as a driver of somebody else's has it."""

import os
from collections.abc import Callable
from pathlib import Path

from sampan.files.copying import copy_tree

Clone = Callable[[Path, Path], None]
"""Makes the second, which is not there, a copy of the directory that is the first. Raises OSError, and leaves nothing then."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def clone_tree(source: Path, target: Path) -> None:
    """Implements `Clone`; blocks are shared where the file system can."""
    target.mkdir(mode=0o700)
    copy_directory(source, target, share=False)


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
