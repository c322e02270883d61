"""The files of one log: the current one, those that rotation has renamed, and where in them the last lines begin.

Loaded by the launcher.
"""

from __future__ import annotations

import os
from io import FileIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Unpack = Callable[[str], FileIO]
    """Opens a compressed file as a plain one. Raises FileNotFoundError."""

CHUNK = 1 << 17
_MOST_FILES = 1000
_TRIES = 8


def open_all(path: str, unpack: Unpack | None = None) -> list[FileIO]:
    """The files of a log, oldest first, the current one last. None is missed or taken twice when they are renamed meanwhile.

    Compressed ones are left out without `unpack`.
    """
    files: list[FileIO] = []
    for _ in range(_TRIES):
        try:
            # The current file first: what is renamed while the others are opened is then found again under its next name.
            files = [_open(path)]
        except FileNotFoundError:
            continue
        missed = 0
        for number in range(1, _MOST_FILES):
            try:
                files.append(_open_old(f"{path}.{number}", unpack))
            except FileNotFoundError:
                # One number is missing for a moment while a rotation shifts the others.
                missed += 1
                if missed == 2:
                    break
        try:
            now = os.stat(path)
            if (now.st_dev, now.st_ino) == mark(files[0]):
                break
        except FileNotFoundError:
            # Between two renames: look again.
            pass
        close_all(files)
        files = []
    return files[::-1]


def _open(path: str) -> FileIO:
    return FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "r")


def _open_old(path: str, unpack: Unpack | None) -> FileIO:
    try:
        return _open(path)
    except FileNotFoundError:
        if unpack is None:
            raise
        return unpack(f"{path}.gz")


def close_all(files: list[FileIO]) -> None:
    """Let go of them."""
    for file in files:
        file.close()


def mark(file: FileIO) -> tuple[int, int]:
    """What tells a file from others, whatever it is called now."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def size(file: FileIO) -> int:
    """Its length now."""
    return os.fstat(file.fileno()).st_size


def seek_tail(file: FileIO, lines: int) -> int:
    """Put `file` before its last `lines` whole lines, or before all of them; returns how many are there."""
    position, found = size(file), 0
    while position > 0:
        start = max(0, position - CHUNK)
        block = os.pread(file.fileno(), position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # Each newline ends a record (what is behind the last is torn); the first one wanted starts behind another's end.
            if found == lines:
                file.seek(start + at + 1)
                return found
            found += 1
        position = start
    file.seek(0)
    return found
