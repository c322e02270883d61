"""The file of a log, whatever its records look like: bounded, rotated under Docker's names, mended after a crash.

A record ends with the only newline in it. What cannot be written (a full disk) is counted and dropped, and the log itself
says how much as soon as there is room again.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# The lines of one block are written at once. One that the allocator has to map and unmap for itself (128 KiB and more, with
# glibc) costs a page fault for each of its pages: five times slower.
BLOCK = 65536
MOST_BEHIND = 256 * 1024
"""How far back the end of a log is shown (`since`)."""
HEADER = b"#sampan-log 1 "
"""Begins the first line of a numbered file; behind it stands how many records came before, in the files that it follows."""
LOCK = ".lock"
"""Names of a log that is compressed change under a lock on this file: rotated by the monitor, replaced by the daemon."""
_NEW = ".new"
_MODE = 0o640
_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""The machine's trouble, which may pass: records are dropped and counted, and no program ends for it."""


class LogFile:
    """Appended to by one process alone.

    `max_size` in bytes (-1: no bound): a file that has reached it is renamed to `path.1`, `path.1` to `path.2` and so on, and
    `max_files` counts all of them. With `compress` something else packs the renamed ones (`compression`); with `numbered` each
    file begins with a line that says how many records came before it. `say` makes the record that tells of dropped ones.
    A record that a crash left half-written is cut off. Raises OSError only when made, and not for a full or read-only disk.
    """

    __slots__ = (
        "_compress",
        "_descriptor",
        "_dropped",
        "_lock",
        "_max_files",
        "_max_size",
        "_numbered",
        "_path",
        "_say",
        "_size",
        "_why",
    )

    def __init__(
        self,
        path: str,
        max_size: int,
        max_files: int,
        say: Callable[[bytes], bytes],
        *,
        compress: bool = False,
        numbered: bool = False,
    ) -> None:
        self._path = path
        self._max_size = max_size
        self._max_files = max_files
        self._say = say
        self._numbered = numbered
        self._dropped = 0
        self._why = ""
        self._size = 0
        self._descriptor = -1
        self._compress = compress
        self._lock = -1
        try:
            self._open()
        except OSError as error:
            if error.errno not in _PASSING:
                raise

    @property
    def dropped(self) -> int:
        """Records that were not written and are not yet accounted for in the log."""
        return self._dropped

    def lose(self, records: int, why: str) -> None:
        """Count records that were lost before they came here; the log says so before the next one."""
        self._dropped += records
        self._why = why

    def append(self, block: bytes) -> None:
        """Write whole records. As in Docker a file may pass its bound by the record that reaches it."""
        if self._dropped and not self._account():
            self._dropped += block.count(b"\n")
            return
        view = memoryview(block)
        at = 0
        while at < len(block):
            end = len(block)
            if self._max_size >= 0:
                if self._size >= self._max_size and not self._rotate():
                    self._dropped += block.count(b"\n", at)
                    return
                room = max(self._max_size - self._size, 1)
                if end - at > room:
                    end = block.index(b"\n", at + room - 1) + 1
            if not self._put(view[at:end]):
                self._dropped += block.count(b"\n", end)
                return
            at = end

    @property
    def path(self) -> str:
        """Of the current file."""
        return self._path

    def since(self, device: int, inode: int, offset: int) -> bytes | None:
        """The records behind a place in the log. None where it is not in the current file, or more than `MOST_BEHIND` bytes back.

        Raises OSError.
        """
        reading = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(reading)
            behind = status.st_size - offset
            if (status.st_dev, status.st_ino) != (device, inode) or not 0 <= behind <= MOST_BEHIND:
                return None
            return os.pread(reading, behind, offset)
        finally:
            os.close(reading)

    def clear(self) -> None:
        """Begin anew: what was written is gone for whoever opens the log now; who has it open reads it to its end.

        Raises OSError where it stays as it was.
        """
        if not self._take_names():
            raise BlockingIOError(errno.EAGAIN, "the log is just being compressed", self._path)
        try:
            self._replace(lambda: remove_rotated(self._path))
        finally:
            self._let_go_of_names()

    def close(self) -> None:
        """Let go of the file, once it has said what it lacks."""
        if self._dropped:
            self._account()
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _open(self) -> None:
        if not os.path.exists(self._path) and os.path.exists(self._path + _NEW):
            # The end of a rotation that a crash cut short.
            os.rename(self._path + _NEW, self._path)
        descriptor = os.open(self._path, _OPEN, _MODE)
        try:
            size = _mend(self._path, descriptor)
            if size == 0 and self._numbered:
                size = _begin(descriptor, 0)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._size = descriptor, size

    def _account(self) -> bool:
        """Say in the log what it lacks. Whether that could be written."""
        dropped, why = self._dropped, self._why
        self._dropped = 0
        said = self._say(b"sampan: %d records of this log were dropped: %s" % (dropped, why.encode()))
        if self._put(memoryview(said)):
            return True
        self._dropped = dropped
        return False

    def _put(self, records: memoryview) -> bool:
        done = 0
        try:
            if self._descriptor < 0:
                self._open()
            while done < len(records):
                done += os.write(self._descriptor, records[done:])
        except OSError as error:
            self._give_up(records, done, error)
            return False
        self._size += done
        return True

    def _give_up(self, records: memoryview, done: int, error: OSError) -> None:
        """The disk is full, or worse: keep the records that are whole, and count the rest."""
        kept = bytes(records[:done]).rfind(b"\n") + 1
        self._dropped += bytes(records[kept:]).count(b"\n")
        self._why = os.strerror(error.errno or 0)
        if self._descriptor < 0:
            return
        self._size += kept
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # Opened anew at the next record, which then also mends its end.
            os.close(self._descriptor)
            self._descriptor = -1

    def _rotate(self) -> bool:
        """Docker's names: the file becomes `path.1`; the oldest goes. False where the disk has no room for another file."""
        if not self._take_names():
            # The daemon puts a compressed file in its place just now: the next block rotates.
            return True
        try:
            self._replace(self._shift)
        except OSError as error:
            self._why = os.strerror(error.errno or 0)
            return False
        finally:
            self._let_go_of_names()
        return True

    def _replace(self, make_way: Callable[[], None]) -> None:
        """Go over to a new file. Its first line is there before it has its name: no crash leaves a file without a number."""
        before = _records_before_end(self._path) if self._numbered else 0
        fresh = os.open(self._path + _NEW, _OPEN | os.O_TRUNC, _MODE)
        try:
            size = _begin(fresh, before) if self._numbered else 0
            make_way()
            os.rename(self._path + _NEW, self._path)
        except OSError:
            os.close(fresh)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = fresh, size

    def _shift(self) -> None:
        if self._max_files == 1:
            return
        # Up to the first gap: a crash between two renames leaves one.
        last = 1
        while last < self._max_files - 1 and _exists(f"{self._path}.{last}"):
            last += 1
        for packed in ("", ".gz"):
            _remove(f"{self._path}.{last}{packed}")
        for number in range(last - 1, 0, -1):
            for packed in ("", ".gz"):
                _rename(f"{self._path}.{number}{packed}", f"{self._path}.{number + 1}{packed}")
        _rename(self._path, f"{self._path}.1")

    def _take_names(self) -> bool:
        """Whether names may be changed now; never waits."""
        if not self._compress:
            return True
        try:
            if self._lock < 0:
                self._lock = os.open(self._path + LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
            os.lockf(self._lock, os.F_TLOCK, 0)
        except OSError:
            return False
        return True

    def _let_go_of_names(self) -> None:
        if self._lock >= 0:
            os.lockf(self._lock, os.F_ULOCK, 0)


def remove_rotated(path: str) -> None:
    """Remove the renamed files of a log, packed or not; the current one stays."""
    number = 1
    while _exists(f"{path}.{number}"):
        for packed in ("", ".gz"):
            _remove(f"{path}.{number}{packed}")
        number += 1


def _exists(path: str) -> bool:
    return os.path.exists(path) or os.path.exists(path + ".gz")


def _begin(descriptor: int, before: int) -> int:
    """Write the first line of a numbered file; its length."""
    line = HEADER + b"%d\n" % before
    done = os.write(descriptor, line)
    if done < len(line):
        os.ftruncate(descriptor, 0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return done


def _records_before_end(path: str) -> int:
    """How many records came up to the end of a numbered file. Counted once in its life, so that no record pays for it."""
    try:
        reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        block = os.read(reading, BLOCK)
        before, lines = first_number(block), 0
        while block:
            lines += block.count(b"\n")
            block = os.read(reading, BLOCK)
    finally:
        os.close(reading)
    return lines if before is None else before + lines - 1


def first_number(start: bytes) -> int | None:
    """How many records came before the file that begins with `start`; None where it does not say."""
    line, newline, _ = start[:64].partition(b"\n")
    digits = line[len(HEADER) :]
    return int(digits) if newline and line.startswith(HEADER) and digits.isdigit() else None


def _mend(path: str, descriptor: int) -> int:
    """Cut off a last record without an end (a crash, a full disk). The size of the file then."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return 0
    end = size
    reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while end:
            start = max(0, end - BLOCK)
            last = os.pread(reading, end - start, start)
            newline = last.rfind(b"\n")
            end = start + newline + 1
            if newline >= 0:
                break
    finally:
        os.close(reading)
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError:
        # Missing, or refused: the bound matters more than the old records.
        return


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
