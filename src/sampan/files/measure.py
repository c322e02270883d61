"""How much a tree of files holds."""

import os
import stat
import threading

from sampan.files.walk import open_plain

_ended = threading.Event()


class MeasuringEnded(OSError):
    """The process is about to end."""


def end_measuring() -> None:
    """Break off what is being measured, in whatever thread, and what is begun later: the end of a process waits for no walk."""
    _ended.set()


def measure(directory: int) -> tuple[int, int]:
    """Bytes of files and links below `directory`, each inode once; and the number of inodes; directories count as inodes only.

    Follows no link and enters no other mount, as `walk`, in no order; a microsecond or two for each file.
    Raises OSError, MeasuringEnded.
    """
    size = inodes = 0
    linked: set[int] = set()
    pending: list[bytes] = [b""]
    while pending:
        if _ended.is_set():
            raise MeasuringEnded
        path = pending.pop()
        current = open_plain(directory, path)
        if current < 0:
            continue  # gone, or something else stands there, since it was listed
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(status.st_mode):
                        inodes += 1
                        name = os.fsencode(entry.name)
                        pending.append(path + b"/" + name if path else name)
                        continue
                    if status.st_nlink > 1:
                        if status.st_ino in linked:
                            continue
                        linked.add(status.st_ino)
                    inodes += 1
                    size += status.st_size
        finally:
            os.close(current)
    return size, inodes
