"""The local log as the shipper reads it: from a position on, in batches, and with a count of what is no longer there."""

from io import FileIO
from typing import TYPE_CHECKING, NamedTuple

from sampan.logs.files import CHUNK, Packed, close_all, open_all, open_newer
from sampan.logs.local_records import parse
from sampan.logs.log_file import first_number
from sampan.logs.shipping.jobs import Position

if TYPE_CHECKING:
    from sampan.logs.files import Part

_PIECE = 1 << 16
_LONGEST_RECORD = 1 << 20


class Partial(NamedTuple):
    """A piece of a line that was too long for one record."""

    id: str
    ordinal: int
    last: bool


class Record(NamedTuple):
    """One line, or a piece of one, without its newline. `stream` is 1 for output, 2 for errors."""

    stream: int
    text: bytes
    time_ns: int
    partial: Partial | None = None


class Batch(NamedTuple):
    """Records in order, where they end, and how many were lost before the first of them."""

    records: list[Record]
    after: Position
    lost: int


class Source:
    """A reader of one numbered log. `read` never waits. It holds one file open at most, so a full disk can empty itself."""

    def __init__(self, path: str, position: Position) -> None:
        self._path = path
        self._next = position.record
        self._hint = position
        self._part: Part | None = None
        self._first = -1
        self._offset = 0
        self._carry = b""
        self._lines = _Lines(position.record)

    def read(self) -> Batch | None:
        """What comes next; None where nothing is there now. Raises OSError."""
        lost = 0
        if self._part is None:
            lost = self._take(open_all(self._path))
        while self._part is not None:
            data = self._part.read(_PIECE)
            # What was read while records were passed over waits there, too.
            if data or b"\n" in self._carry:
                if batch := self._batch(data, lost):
                    return batch
                continue
            newer = open_newer(self._path, self._part)
            if not newer:
                break
            lost += self._take(newer)
        return Batch([], self._position(), lost) if lost else None

    def close(self) -> None:
        """Let go of the file."""
        if self._part is not None:
            self._part.close()
            self._part = None

    def _position(self) -> Position:
        return Position(self._next, self._first, self._offset)

    def _batch(self, data: bytes, lost: int) -> Batch | None:
        whole = self._carry + data
        cut = whole.rfind(b"\n") + 1
        self._carry = whole[cut:] if len(whole) - cut <= _LONGEST_RECORD else b"\0"
        if not cut:
            return None
        self._offset += cut
        lines = whole[: cut - 1].split(b"\n")
        if first_number(whole) is not None and self._offset == cut:
            lines.pop(0)
        self._next += len(lines)
        records = self._lines.records(lines)
        return Batch(records, self._position(), lost) if records or lost else None

    def _take(self, parts: "list[Part]") -> int:
        """Go on in the one that has the next record; how many records are no longer there."""
        self.close()
        chosen = None
        for part in parts:
            first = _first(part)
            if chosen is None or first <= self._next:
                chosen, self._first = part, first
        close_all(part for part in parts if part is not chosen)
        if chosen is None:
            return 0
        self._part, self._offset, self._carry = chosen, 0, b""
        if self._first < 0:
            # A file that does not say: nothing can be counted.
            self._first = self._next
        lost = max(self._first - self._next, 0)
        if self._hint.file == self._first and isinstance(chosen, FileIO) and self._hint.record == self._next:
            self._offset = self._hint.offset
            chosen.seek(self._offset)
        else:
            self._skip(chosen, self._next - self._first)
        self._next = max(self._next, self._first)
        return lost

    def _skip(self, part: "Part", records: int) -> None:
        """Pass over the first line of the file and `records` of it."""
        wanted = records + 1 if records > 0 else 0
        while wanted and (block := part.read(CHUNK)):
            at = 0
            while wanted and (end := block.find(b"\n", at)) >= 0:
                at, wanted = end + 1, wanted - 1
            self._offset += at
            if wanted:
                self._offset += len(block) - at
            else:
                self._carry = block[at:]


class _Lines:
    """Lines of a log decoded; pieces of one line know of each other."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._open: dict[int, tuple[str, int]] = {}

    def records(self, lines: list[bytes]) -> list[Record]:
        found = []
        for line in lines:
            self._number += 1
            if (parsed := parse(line)) is not None:
                stream, whole, time_ns, text = parsed
                found.append(Record(stream, text, time_ns, self._partial(stream, whole)))
        return found

    def _partial(self, stream: int, whole: bool) -> Partial | None:
        begun = self._open.get(stream)
        if begun is None:
            if whole:
                return None
            # The same after a restart of the shipper, which begins again with the record that it has not sent.
            begun = (f"{self._number:016x}", 0)
        name, ordinal = begun
        if whole:
            del self._open[stream]
        else:
            self._open[stream] = (name, ordinal + 1)
        return Partial(name, ordinal + 1, whole)


def _first(part: "Part") -> int:
    """The number of a file's first record, -1 where it does not say. The file is at its beginning again."""
    if isinstance(part, Packed):
        start = part.peek(64)
    else:
        start = part.read(64)
        part.seek(0)
    number = first_number(start)
    return -1 if number is None else number
