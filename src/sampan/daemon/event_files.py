"""Events on the disk: two files of bounded size, written and read by one thread beside the event loop.

What is appended is in the kernel's hands a moment later and survives the daemon's death; nothing waits for the disk itself, so
the end of the machine may take the last seconds along. Events are a convenience: what was acknowledged is in the state.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec

from sampan.daemon.threads import Threads
from sampan.errors import System
from sampan.spec.document import encode
from sampan.spec.events import Message

FILE_LIMIT = 2 * 1024 * 1024
"""Bytes of one of the two files; the older one goes when the newer is full."""
_MOST_WAITING = 256
"""Batches that may wait for a disk that does not answer; what comes then is not kept."""
_log = logging.getLogger("sampan.daemon")
_decoder = msgspec.json.Decoder(Message)


class EventFiles:
    """`events.jsonl` and the one before it. Methods belong to the event loop; the files to the thread."""

    def __init__(self, directory: Path) -> None:
        self._newer = directory / "events.jsonl"
        self._older = directory / "events.1.jsonl"
        self._thread = Threads(1, thread_name_prefix="events")
        self._room = threading.Semaphore(_MOST_WAITING)
        self._descriptor = -1
        self._size = 0

    def append(self, messages: Sequence[Message]) -> None:
        """Hand over what happened, in order."""
        if not self._room.acquire(blocking=False):
            return
        try:
            self._thread.submit(self._write, messages)
        except System as error:
            # What happened has happened: only the file's copy is lost, as on a full disk.
            _log.warning("%d events are not kept: %s", len(messages), error)
            self._room.release()

    def read(self, since_ns: int, until_ns: int) -> "Future[list[Message]]":
        """What is kept from `since_ns` to `until_ns`, the oldest first; what was appended before is part of it."""
        return self._thread.submit(lambda: list(self._read(since_ns, until_ns)))

    def close(self) -> None:
        """Write what was handed over, and end the thread."""
        self._thread.submit(self._let_go)
        self._thread.shutdown(wait=True)

    # The rest belongs to the thread.

    def _write(self, messages: Sequence[Message]) -> None:
        data = b"".join(encode(message) + b"\n" for message in messages)
        try:
            self._make_room(len(data))
            self._size += os.write(self._descriptor, data)
        except OSError as error:
            # A full disk takes the file's copy, not the stream.
            _log.warning("%d events are not kept: %s", len(messages), error)
            self._let_go()
        finally:
            self._room.release()

    def _make_room(self, size: int) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + size > FILE_LIMIT:
            self._newer.replace(self._older)
            self._let_go()
            self._open()

    def _open(self) -> None:
        self._descriptor = os.open(
            self._newer, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        self._size = os.fstat(self._descriptor).st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            # A daemon died in the middle of a line: the next event shall not become the end of it.
            self._size += os.write(self._descriptor, b"\n")

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, since_ns: int, until_ns: int) -> Iterator[Message]:
        for path in (self._older, self._newer):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            except OSError as error:
                _log.warning("events that were kept cannot be read: %s", error)
                continue
            for line in lines:
                try:
                    message = _decoder.decode(line)
                except msgspec.DecodeError:
                    # The line that a death cut short.
                    continue
                if since_ns <= message.time_nano <= until_ns:
                    yield message
