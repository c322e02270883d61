"""What a leading client reads in a source: files, directories, what they are. Links are followed inside the source only."""

import fnmatch
import os

from sampan.build.tree.context import Context
from sampan.buildkit.protocol.files_pb2 import Stat
from sampan.buildkit.sending import stat_of
from sampan.errors import InvalidParameter, NotFound

LIMIT = 8 << 20
"""bytes of one answer"""
_LISTED = 10_000


def read_part(context: Context, path: str, offset: int, length: int) -> bytes:
    """A file's bytes from `offset` on, `length` of them or (0) to its end. Raises NotFound, InvalidParameter."""
    if offset < 0 or length < 0:
        raise InvalidParameter(f"invalid range of {path[:200]}")
    try:
        data = context.read(path, LIMIT)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"open {path[:200]}: no such file or directory") from error
    except OSError as error:
        raise InvalidParameter(f"read {path[:200]}: {error.strerror}") from error
    return data[offset : offset + length] if length else data[offset:]


def described(context: Context, path: str) -> Stat:
    """What a file is. Raises NotFound."""
    try:
        node = context.node(path)
    except OSError as error:
        raise NotFound(f"lstat {path[:200]}: no such file or directory") from error
    return stat_of(os.fsencode(path).rpartition(b"/")[2], node)


def listed(context: Context, path: str, pattern: str) -> list[Stat]:
    """What is in a directory, as far as its name fits the pattern. Raises NotFound, InvalidParameter."""
    try:
        node = context.node(path)
    except OSError as error:
        raise NotFound(f"open {path[:200]}: no such file or directory") from error
    if node.children is None:
        raise InvalidParameter(f"readdir {path[:200]}: not a directory")
    found = sorted(
        (name, child)
        for name, child in node.children.items()
        if not pattern or fnmatch.fnmatchcase(os.fsdecode(name), pattern)
    )
    if len(found) > _LISTED:
        raise InvalidParameter(f"readdir {path[:200]}: more than {_LISTED} entries")
    return [stat_of(name, child) for name, child in found]
