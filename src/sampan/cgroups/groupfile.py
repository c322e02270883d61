"""Reading and writing the files of control groups, and walking the groups below one.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNIFIED = "unified"
"""The name that the v2 tree has among a plan's controllers."""
_MOST_TEXT = 1 << 22
_GONE = (errno.ENOENT, errno.ENODEV)


def unique(groups: Mapping[str, str]) -> list[str]:
    """The directories, each once, in the plan's order."""
    return list(dict.fromkeys(groups.values()))


def tree(directory: str) -> Iterator[str]:
    """`directory` and every group below, parents before children; nothing where it is gone."""
    waiting = [directory]
    while waiting:
        group = waiting.pop()
        try:
            links = os.stat(group).st_nlink
        except FileNotFoundError:
            continue
        yield group
        # Each group below adds a link to its parent, as on any classical file system: most have none.
        if links > 2:
            waiting += _children(group)


def _children(group: str) -> list[str]:
    try:
        with os.scandir(group) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def pids(group: str) -> list[int]:
    """Processes that stand in this very group; 0 stands for one of a pid namespace that is not ours."""
    try:
        return [int(word) for word in read(f"{group}/cgroup.procs").split()]
    except OSError as error:
        # Gone since; or a threaded group of v2, whose processes its domain lists.
        if error.errno in (*_GONE, errno.EOPNOTSUPP):
            return []
        raise


def field(path: str, name: str) -> int:
    """The number after `name` in a flat keyed file; 0 where file or name is missing."""
    try:
        lines = read(path).splitlines()
    except OSError as error:
        if error.errno in _GONE:
            return 0
        raise
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def read(path: str) -> str:
    """The whole of a control file, of at most 4 MiB."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        size = 0
        while size < _MOST_TEXT:
            part = os.read(descriptor, 65536)
            if not part:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def put(path: str, text: str) -> None:
    """One open, one write: the kernel takes a value whole or not at all."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OSError(
            error.errno, f"write {text!r} to {os.path.basename(path)}: {os.strerror(error.errno or 0)}", path
        ) from error
