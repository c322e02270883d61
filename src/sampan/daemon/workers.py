"""A few threads for what would keep the event loop waiting: archives, walks over layers, pruning."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import BinaryIO, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4
_WALKS = 2
"""Walks over files at once: the disk gains nothing by more, and the other threads stay free."""
_WAITING = 8
"""Pieces that may wait between a thread and the event loop."""
_PIECE = 1 << 18
"""Bytes that are joined to one piece."""


class Workers:
    """The threads. They start when they are first needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="worker")
        self._walks = asyncio.Semaphore(_WALKS)
        self._walking: dict[tuple[str, str], asyncio.Task[int]] = {}

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, from another thread. Cancelling the wait does not stop the call."""
        # In the caller's context: a line of the log says there, too, which request it is about.
        return await asyncio.wrap_future(self._pool.submit(copy_context().run, partial(call, *args, **kwargs)))

    async def measure(self, kind: str, name: str, walk: Callable[[], int]) -> int:
        """What `walk` finds, from another thread: a few walks at once, and one for all who ask for the same meanwhile."""
        task = self._walking.get((kind, name))
        if task is None:
            task = asyncio.get_running_loop().create_task(self._walk(walk))
            self._walking[kind, name] = task
            task.add_done_callback(partial(self._walked, kind, name))
        return await asyncio.shield(task)

    async def _walk(self, walk: Callable[[], int]) -> int:
        async with self._walks:
            return await self.run(walk)

    def _walked(self, kind: str, name: str, task: asyncio.Task[int]) -> None:
        del self._walking[kind, name]
        if not task.cancelled():
            task.exception()  # told to whoever still waits; nobody may

    async def iterate(self, make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """What an iterator yields, made and stepped through in another thread, a few items ahead at most."""
        iterator: Iterator[T] | None = None

        def step() -> tuple[bool, T | None]:
            nonlocal iterator
            if iterator is None:
                iterator = make()
            for item in iterator:
                return True, item
            return False, None

        while True:
            more, item = await self.run(step)
            if not more:
                return
            yield item  # type: ignore[misc]  # an item is there whenever `more` is set

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


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
