"""Reads the json-file log of a container: the end of it, all of it, and on as it grows; through rotations.

The writer is another process. It appends whole records and renames the file away when it is full, so a reader that holds
the file open loses nothing; it takes what is complete up to the last newline.
"""

import asyncio
import gzip
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import BinaryIO

from sampan.logs.records import Entry, decode, time_ns

_CHUNK = 1 << 17
_LONGEST_RECORD = 1 << 20
_MOST_FILES = 1000
_TRIES = 8
_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries. `tail` counts back from the end before anything is filtered, as in Docker; None is all, 0 none.

    `since` and `until` are nanoseconds since the epoch, both inclusive. As in Docker `since` ends with the first entry that
    passes it, since the clock of the host may have been set back in between.
    """

    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None
    tail: int | None = None


def past(path: str, query: Query) -> Iterator[list[Entry]]:
    """The entries that are there now, in batches, oldest first. Nothing where there is no log. Blocks on the disk."""
    for _, entries in _Reading(path, query).past():
        if entries:
            yield entries


async def follow(path: str, query: Query, ended: asyncio.Event) -> AsyncIterator[list[Entry]]:
    """The entries that are there, then those that come, until `ended` is set and the log is read to its end.

    New ones are seen at most 50 ms later. Files are read in a thread.
    """
    reading = _Reading(path, query)
    over = ended.is_set()
    try:
        batches = reading.past(keep=True)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            if batch[1]:
                yield batch[1]
        pause = _SHORTEST_PAUSE
        while not over:
            # Asked before reading: what was written before the end is then among what is read.
            over = ended.is_set()
            while reading.grown():
                pause = _SHORTEST_PAUSE
                if entries := await asyncio.to_thread(reading.more):
                    yield entries
            if not over and not reading.done:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            over = over or reading.done
    finally:
        reading.close()


class _Reading:
    """One reader: the file it is in, and what its filter has seen."""

    def __init__(self, path: str, query: Query) -> None:
        self._path = path
        self._query = query
        self._since = query.since
        self._file: BinaryIO | None = None
        self._carry = b""
        self.done = False

    def past(self, keep: bool = False) -> Iterator[tuple[int, list[Entry]]]:
        """(number of the file, entries) of what is there; with `keep` the last file stays open to go on from."""
        with ExitStack() as stack:
            files = [stack.enter_context(file) for file in _open_all(self._path)]
            start = len(files)
            left = self._query.tail
            while start > 0 and (left is None or left > 0):
                start -= 1
                if left is None:
                    files[start].seek(0)
                else:
                    left -= _seek_tail(files[start], left)
            if self._query.tail == 0 and files:
                start = len(files)
                _seek_tail(files[-1], 0)
            for number, file in enumerate(files):
                if number < start:
                    continue
                self._carry = b""
                # No further than it reaches now: a program that writes without a pause would keep us here.
                end = os.fstat(file.fileno()).st_size
                while not self.done and (chunk := file.read(max(0, min(_CHUNK, end - file.tell())))):
                    yield number, self._take(chunk)
            if keep and files and not self.done:
                self._file = os.fdopen(os.dup(files[-1].fileno()), "rb", buffering=0)

    def grown(self) -> bool:
        """Whether there is something to read, or another file to go on with."""
        if self._file is None:
            return not self.done and os.path.exists(self._path)
        here = os.fstat(self._file.fileno())
        if self.done or here.st_size > self._file.tell():
            return not self.done
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            # Between two renames of a rotation; or the container is being removed, and `ended` comes.
            return False
        return (now.st_dev, now.st_ino) != (here.st_dev, here.st_ino)

    def more(self) -> list[Entry]:
        """What has come, a chunk of it. Goes over to the next file where this one is at its end and was renamed."""
        file = self._file
        if file is None:
            self._advance(None)
            return []
        size = os.fstat(file.fileno()).st_size
        if size < file.tell():
            # The writer took back a record that did not fit on the disk, or somebody truncated the log.
            file.seek(size)
            self._carry = b""
        chunk = file.read(_CHUNK)
        if chunk:
            return self._take(chunk)
        self._advance(file)
        return []

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _advance(self, old: BinaryIO | None) -> None:
        """Open the file that was begun after `old`; several rotations may have passed."""
        files = _open_all(self._path)
        marks = [_mark(file) for file in files]
        # Where ours is not among them it was the oldest and is gone: everything that is there is newer.
        after = marks.index(_mark(old)) + 1 if old is not None and _mark(old) in marks else 0
        for number, file in enumerate(files):
            if number != after:
                file.close()
        if after < len(files):
            self.close()
            self._file = files[after]
            self._carry = b""

    def _take(self, chunk: bytes) -> list[Entry]:
        data = self._carry + chunk
        cut = data.rfind(b"\n") + 1
        self._carry = data[cut:]
        if len(self._carry) > _LONGEST_RECORD:
            # No writer of ours makes such a record: what is damaged is passed over.
            self._carry = b"\0"
        return self._filter(decode(data[:cut])) if cut else []

    def _filter(self, entries: list[Entry]) -> list[Entry]:
        query = self._query
        if self._since is not None:
            since = self._since
            first = next((n for n, entry in enumerate(entries) if time_ns(entry.time) >= since), None)
            if first is None:
                return []
            self._since = None
            entries = entries[first:]
        if query.until is not None:
            until = query.until
            last = next((n for n, entry in enumerate(entries) if time_ns(entry.time) > until), None)
            if last is not None:
                self.done = True
                entries = entries[:last]
        if query.stdout and query.stderr:
            return entries
        wanted = {number for number, wants in ((1, query.stdout), (2, query.stderr)) if wants}
        return [entry for entry in entries if entry.stream in wanted]


def _mark(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _open_all(path: str) -> list[BinaryIO]:
    """The files of a log, oldest first, the current one last. None is missed or taken twice when they are renamed meanwhile."""
    files: list[BinaryIO] = []
    for _ in range(_TRIES):
        try:
            # The current file first: what is renamed while the others are opened is then found again under its next name.
            files = [_open(path)]
        except FileNotFoundError:
            continue
        missed = 0
        for number in range(1, _MOST_FILES):
            try:
                files.append(_open_old(f"{path}.{number}"))
            except FileNotFoundError:
                # One number is missing for a moment while a rotation shifts the others.
                missed += 1
                if missed == 2:
                    break
        with suppress(FileNotFoundError):
            now = os.stat(path)
            if (now.st_dev, now.st_ino) == _mark(files[0]):
                break
        for file in files:
            file.close()
        files = []
    return files[::-1]


def _open(path: str) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb", buffering=0)


def _open_old(path: str) -> BinaryIO:
    try:
        return _open(path)
    except FileNotFoundError:
        # Seeking is needed to find the end, so a compressed file is unpacked where temporary files go.
        with gzip.open(f"{path}.gz", "rb") as packed:
            unpacked: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
            with suppress(EOFError):
                # Cut short by a crash: what could be unpacked is taken.
                shutil.copyfileobj(packed, unpacked, _CHUNK)
        return unpacked


def _seek_tail(file: BinaryIO, lines: int) -> int:
    """Put `file` before its last `lines` whole lines, or before all of them; returns how many are there."""
    position, found = os.fstat(file.fileno()).st_size, 0
    while position > 0:
        start = max(0, position - _CHUNK)
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
