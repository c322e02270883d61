"""Packs the files of a log that were renamed away. Done by the daemon, so that no program waits and no monitor grows.

While a file is packed it may be renamed, or go; what is made of it takes its place under a lock that the writer respects
(`log_file`). A crash leaves the file, the packed one beside it, or both: both are the same, and the next run removes one.
"""

import os
import struct
import time
from io import FileIO

from isal import isal_zlib

from sampan.files.writing import write_all
from sampan.logs.files import Mark, Packed, gzip_header, mark
from sampan.logs.log_file import LOCK

_TEMPORARY = ".packing"
_LEVEL = 2
"""A quarter of the time of zlib's usual level, for files that are a tenth larger."""
_CHUNK = 1 << 17
_MOST_FILES = 1000
_TRIES = 100
_PAUSE = 0.01


def pack_renamed(path: str) -> int:
    """Pack every renamed file of the log at `path` that is not packed yet; returns how many. Blocks on the disk.

    One process at a time for each log. Raises OSError where the disk does not take it; the files are as they were then.
    """
    packed = 0
    for _ in range(_MOST_FILES):
        oldest = _oldest_plain(path)
        if oldest is None:
            break
        with oldest as source:
            fresh = not _has_packed(path, mark(source))
            if fresh:
                _pack(source, path + _TEMPORARY)
            if not _put_in_place(path, mark(source), fresh=fresh):
                break
        packed += 1
    return packed


def _oldest_plain(path: str) -> FileIO | None:
    found = None
    for number in range(1, _MOST_FILES):
        plain = os.path.exists(f"{path}.{number}")
        if not plain and not os.path.exists(f"{path}.{number}.gz"):
            break
        if plain:
            found = number
    if found is None:
        return None
    try:
        return FileIO(os.open(f"{path}.{found}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "r")
    except FileNotFoundError:
        # Renamed just now: the next look finds it.
        return None


def _has_packed(path: str, source: Mark) -> bool:
    """Whether a crash came between the naming of the packed file and the end of the other."""
    number = _number_of(path, source)
    if number is None:
        return False
    try:
        descriptor = os.open(f"{path}.{number}.gz", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    with FileIO(descriptor, "r") as file:
        return Packed(file).source == source


def _pack(source: FileIO, target: str) -> None:
    """`source` as gzip in `target`, safe on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(target, flags, 0o640)
    try:
        squeeze = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        checksum = length = 0
        write_all(descriptor, gzip_header(mark(source)))
        while chunk := source.read(_CHUNK):
            checksum = isal_zlib.crc32(chunk, checksum)
            length += len(chunk)
            write_all(descriptor, squeeze.compress(chunk))
        write_all(descriptor, squeeze.flush() + struct.pack("<II", checksum, length & 0xFFFFFFFF))
        os.fsync(descriptor)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(descriptor)


def _put_in_place(path: str, source: Mark, *, fresh: bool) -> bool:
    """Exchange the file `source` for the packed one, whatever its name is by now. False where the writer does not let us.

    With `fresh` the packed one is the temporary file, otherwise it stands beside the other already.
    """
    lock = os.open(path + LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        if not _locked(lock):
            return False
        number = _number_of(path, source)
        if number is not None:
            if fresh:
                os.rename(path + _TEMPORARY, f"{path}.{number}.gz")
            os.unlink(f"{path}.{number}")
        elif fresh:
            # It was the oldest, and has gone; or the log was cleared.
            os.unlink(path + _TEMPORARY)
    finally:
        os.close(lock)
    return True


def _locked(lock: int) -> bool:
    for _ in range(_TRIES):
        try:
            os.lockf(lock, os.F_TLOCK, 0)
        except OSError:
            time.sleep(_PAUSE)
        else:
            return True
    return False


def _number_of(path: str, source: Mark) -> int | None:
    for number in range(1, _MOST_FILES):
        try:
            now = os.stat(f"{path}.{number}")
        except FileNotFoundError:
            if not os.path.exists(f"{path}.{number}.gz"):
                return None
            continue
        if now.st_ino == source.inode:
            return number
    return None
