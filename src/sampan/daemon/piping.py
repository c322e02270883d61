"""What a client sends, read by a thread as a file: archives, whose readers know nothing of the event loop."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO, Self, cast

_WAITING = 8
"""Pieces that may wait between a thread and the event loop."""
_PIECE = 1 << 18
"""Bytes that are joined to one piece."""


class Passing:
    """`pieces` as `file` while the block runs; their sender ends with the block."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pipe = Pipe()
        self._sending = asyncio.get_running_loop().create_task(self._pipe.fill(pieces))
        self.file = as_file(self._pipe)

    async def __aenter__(self) -> Self:
        return self

    def call_off(self) -> None:
        """Stop the sender; a reader that waits for more hears of it."""
        self._sending.cancel()

    async def __aexit__(self, *_: object) -> None:
        self._pipe.close()
        self._sending.cancel()
        await asyncio.wait([self._sending])
        if not self._sending.cancelled():
            self._sending.exception()  # the reader has heard of it, and speaks for both


class Pipe:
    """Bytes that come on the event loop, read in a thread as from a file. Bounded: the sender waits for the reader."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
        self._room = asyncio.Semaphore(_WAITING)
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._ended = False
        self._reader_gone = threading.Event()

    async def fill(self, pieces: AsyncIterator[bytes]) -> None:
        """Pass everything on, then the end; a fault of the sender is raised in the reader."""
        held: list[bytes] = []
        size = 0
        try:
            async for piece in pieces:
                held.append(piece)
                size += len(piece)
                # While the reader has something to do, small pieces (docker sends 32 KiB) are joined: each costs two wake-ups.
                if size < _PIECE and not self._pieces.empty():
                    continue
                if not await self._put(held):
                    return
                size = 0
            if held and not await self._put(held):
                return
        except BaseException as error:
            self._end(error)
            raise
        await self._room.acquire()
        self._end(None)

    async def _put(self, held: list[bytes]) -> bool:
        """Pass `held` on and empty it; False where nobody reads any more."""
        await self._room.acquire()
        if self._reader_gone.is_set():
            return False
        self._pieces.put_nowait(held[0] if len(held) == 1 else b"".join(held))
        held.clear()
        return True

    def _end(self, how: BaseException | None) -> None:
        try:
            self._pieces.put_nowait(how)
        except queue.Full:
            # The reader is behind: what waits first makes room, the stream is broken anyway.
            self._pieces.get_nowait()
            self._pieces.put_nowait(how)

    def read(self, limit: int = -1) -> bytes:
        """Up to `limit` bytes, all that is left where it is negative; empty at the end. Called in the reader's thread."""
        if limit < 0:
            parts = []
            while part := self.read(1 << 20):
                parts.append(part)
            return b"".join(parts)
        while not self._rest and not self._ended:
            piece = self._pieces.get()
            self._loop.call_soon_threadsafe(self._room.release)
            if isinstance(piece, BaseException):
                self._ended = True
                raise OSError("the sender of the archive went away") from piece
            if piece is None:
                self._ended = True
            else:
                self._rest = piece
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    def close(self) -> None:
        """The reader wants no more: a sender that waits for room goes on and ends."""
        self._reader_gone.set()
        self._loop.call_soon_threadsafe(self._room.release)


def as_file(pipe: Pipe) -> BinaryIO:
    """The reading end as what archive readers take."""
    import io

    class _Raw(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
            data = pipe.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

        def close(self) -> None:
            pipe.close()
            super().close()

    return cast(BinaryIO, io.BufferedReader(_Raw(), 1 << 18))
