"""One reader of a log: which entries it wants, the file it is in, and how it goes on as the log grows and is rotated.

The writer is another process. It appends whole records and renames the file away when it is full, so a reader that holds
the file open loses nothing; it takes what is complete up to the last newline. The log's name tells what its records are.

Loaded by the launcher: the daemon reads with it, and so do followers, which go on without the daemon.
"""

from __future__ import annotations

import os
from io import FileIO

from sampan.logs.files import CHUNK, close_all, mark, open_all, open_newer, seek_tail, size
from sampan.logs.local_records import LocalDecoder
from sampan.logs.records import Entry, decode, fixed, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sampan.logs.files import Part

_LONGEST_RECORD = 1 << 20


class Query:
    """Which entries. `tail` counts back from the end before anything is filtered, as in Docker; None is all, 0 none.

    `since` and `until` are nanoseconds since the epoch, both inclusive. As in Docker `since` ends with the first entry that
    passes it, since the clock of the host may have been set back in between.
    """

    __slots__ = ("since", "stderr", "stdout", "tail", "until")

    def __init__(
        self,
        stdout: bool = True,
        stderr: bool = True,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.since = since
        self.until = until
        self.tail = tail


def decoder(path: str) -> Callable[[bytes], list[Entry]]:
    """Makes entries of whole lines of the log at `path`, whose driver its name tells."""
    return decode if path.endswith("-json.log") else LocalDecoder(path).decode


class Reading:
    """`open` (or `take_up`) first, then `past` to stop at what is there now, or `grown` and `more` to go on. Blocks on the disk."""

    def __init__(self, path: str, query: Query) -> None:
        self._path = path
        self._decode = decoder(path)
        self._tail = query.tail
        self._wanted = tuple(number for number, wants in ((1, query.stdout), (2, query.stderr)) if wants)
        self._since = None if query.since is None else moment(query.since)
        self._until = None if query.until is None else moment(query.until)
        self._file: Part | None = None
        self._next: list[Part] = []
        """still to be read after `_file`; the last of them, or else `_file`, was the current one when it was opened"""
        self._carry = b""
        self.done = False
        """an entry beyond `until` was seen: nothing more is wanted"""

    def open(self) -> None:
        """Open the log where the query begins. A log that is not there yet is found by `grown`."""
        self.take_up(_from_tail(open_all(self._path), self._tail))

    def take_up(self, files: Sequence[Part]) -> None:
        """Read these from where they stand, and go on behind the last of them."""
        self._next = list(files)
        self._step()

    def release(self) -> list[Part]:
        """What `open` has opened: another reader can take it up. The caller's to close."""
        files = [self._file, *self._next] if self._file is not None else []
        self._file, self._next = None, []
        return files

    def past(self) -> Iterator[list[Entry]]:
        """The entries that are there, in batches, oldest first; no further than the log reaches now."""
        files = [self._file, *self._next] if self._file is not None else []
        newest = files[-1] if files else None
        end = size(newest) if isinstance(newest, FileIO) else 0
        while (file := self._file) is not None and not self.done:
            # A program that writes without a pause would keep us in the last one.
            last = isinstance(file, FileIO) and not self._next
            room = max(0, min(CHUNK, end - file.tell())) if last and isinstance(file, FileIO) else CHUNK
            if chunk := file.read(room):
                yield self._take(chunk)
            elif self._next:
                self._step()
            else:
                return

    @property
    def position(self) -> tuple[int, int, int] | None:
        """Device, inode and offset behind the last record that was read; None where there is no file, or another one to come."""
        file = self._file
        if not isinstance(file, FileIO) or self._next:
            return None
        status = os.fstat(file.fileno())
        return status.st_dev, status.st_ino, file.tell() - len(self._carry)

    def grown(self) -> bool:
        """Whether there is something to read, or another file to go on with."""
        if self.done:
            return False
        if self._file is None:
            return os.path.exists(self._path)
        if self._next or (isinstance(self._file, FileIO) and size(self._file) > self._file.tell()):
            return True
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            # Between two renames of a rotation; or the container is being removed, and its end comes.
            return False
        # A packed file is never the current one.
        return not isinstance(self._file, FileIO) or now.st_ino != mark(self._file).inode

    def more(self) -> list[Entry]:
        """What has come, a chunk of it; goes over to the next file at the end of this one. Only after `grown`.

        That has seen the file renamed (its writer was done with it) before it is found here that nothing is left in it.
        """
        file = self._file
        if file is None:
            self._advance()
            return []
        if isinstance(file, FileIO) and size(file) < file.tell():
            # The writer took back a record that did not fit on the disk, or somebody truncated the log.
            file.seek(size(file))
            self._carry = b""
        if chunk := file.read(CHUNK):
            return self._take(chunk)
        if self._next:
            self._step()
        else:
            self._advance()
        return []

    def close(self) -> None:
        """Let go of the files."""
        close_all(self.release())

    def _step(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._next.pop(0) if self._next else None
        self._carry = b""

    def _advance(self) -> None:
        """Go over to the files that were begun after ours; several rotations may have passed."""
        # All of them, so that none can go while we are slow.
        if newer := open_newer(self._path, self._file):
            self._next = newer
            self._step()

    def _take(self, chunk: bytes) -> list[Entry]:
        data = self._carry + chunk
        cut = data.rfind(b"\n") + 1
        self._carry = data[cut:]
        if len(self._carry) > _LONGEST_RECORD:
            # No writer of ours makes such a record: what is damaged is passed over.
            self._carry = b"\0"
        return self._filter(self._decode(data[:cut])) if cut else []

    def _filter(self, entries: list[Entry]) -> list[Entry]:
        if self._since is not None:
            since = self._since
            first = next((n for n, entry in enumerate(entries) if fixed(entry.time) >= since), None)
            if first is None:
                return []
            self._since = None
            entries = entries[first:]
        if self._until is not None:
            until = self._until
            last = next((n for n, entry in enumerate(entries) if fixed(entry.time) > until), None)
            if last is not None:
                self.done = True
                entries = entries[:last]
        if len(self._wanted) == len((1, 2)):
            return entries
        return [entry for entry in entries if entry.stream in self._wanted]


def _from_tail(files: list[Part], tail: int | None) -> list[Part]:
    """Those of `files` that hold the last `tail` lines, the first of them put before these; the others are closed."""
    start = 0 if tail is None else len(files)
    left = tail or 0
    while start > 0 and left > 0:
        start -= 1
        left -= seek_tail(files[start], left)
    if tail == 0 and files:
        start = len(files) - 1
        seek_tail(files[start], 0)
    close_all(files[:start])
    return files[start:]
