"""The log of a container for the daemon: the end of it, all of it, and on as it grows; compressed files too."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from io import FileIO
from typing import TYPE_CHECKING

from sampan.files.writing import write_all
from sampan.logs.files import CHUNK
from sampan.logs.reading import Query, Reading
from sampan.logs.records import Entry

if TYPE_CHECKING:
    from sampan.logs.files import Part

_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05


def past(path: str, query: Query) -> Iterator[list[Entry]]:
    """The entries that are there now, in batches, oldest first. Nothing where there is no log. Blocks on the disk."""
    reading = Reading(path, query)
    reading.open()
    try:
        yield from filter(None, reading.past())
    finally:
        reading.close()


async def follow(path: str, query: Query, ended: asyncio.Event) -> AsyncIterator[list[Entry]]:
    """The entries that are there, then those that come, until `ended` is set and the log is read to its end.

    Where `ended` is set already, it ends with what is there. New ones are seen at most 50 ms later. Files are read in a thread.
    """
    if ended.is_set():
        batches = past(path, query)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            yield batch
        return
    reading = Reading(path, query)
    await asyncio.to_thread(reading.open)
    over = False
    try:
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


def open_at(path: str, query: Query) -> list[FileIO]:
    """The files of a log from where `query` begins, for somebody else to read (`Reading.take_up`). The caller closes them."""
    reading = Reading(path, query)
    reading.open()
    return [_plain(part) for part in reading.release()]


def _plain(part: "Part") -> FileIO:
    """A descriptor says where in a plain file one is, but not where in a packed one: that is unpacked from there on."""
    if isinstance(part, FileIO):
        return part
    # Loaded by the few who compress their logs.
    import tempfile

    unpacked = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    assert isinstance(unpacked, FileIO)
    try:
        while piece := part.read(CHUNK):
            write_all(unpacked.fileno(), piece)
    finally:
        part.close()
    unpacked.seek(0)
    return unpacked
