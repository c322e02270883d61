"""Everything that happens, told to whoever listens, kept in memory for a while and on disk within a bound."""

import asyncio
import time
import weakref
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sampan.daemon.event_files import EventFiles
from sampan.daemon.event_filters import included
from sampan.daemon.matching import Filters
from sampan.spec.events import Actor, Message

_KEPT = 256
"""Events in memory: who asks for no older ones does not wait for the disk."""
_GATHER_SECONDS = 0.01
"""How long an event waits for others before it is written: the thread is not woken in the middle of a start."""
_WAITING = 4096
"""Events that a slow listener may be behind before its stream ends."""
_OLD_FORM = ("container", "image")


class Events:
    """The event stream of one daemon. All methods belong to the event loop."""

    def __init__(self, directory: Path) -> None:
        self._files = EventFiles(directory)
        self._recent: deque[Message] = deque(maxlen=_KEPT)
        self._unwritten: list[Message] = []
        # Weak: a stream that was made and never stepped through leaves nothing behind.
        self._listeners: weakref.WeakSet[asyncio.Queue[Message | None]] = weakref.WeakSet()
        self._last_ns = time.time_ns()
        self.counts: Counter[tuple[str, str]] = Counter()
        """how many there were of each type and action, without what follows a colon"""
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def recent(self) -> tuple[Message, ...]:
        """The latest, those that are in memory."""
        return tuple(self._recent)

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def publish(self, kind: str, action: str, subject: str, attributes: Mapping[str, str]) -> None:
        """Tell that `action` happened to `subject` (an id or name) of `kind` (container, image, volume, network, daemon)."""
        # Two events never carry the same time, so that `since` neither repeats nor skips one.
        now = self._last_ns = max(time.time_ns(), self._last_ns + 1)
        old = kind in _OLD_FORM
        message = Message(
            status=action if old else "",
            id=subject if old else "",
            from_=attributes.get("image", "") if kind == "container" else "",
            type=kind,
            action=action,
            actor=Actor(id=subject, attributes=dict(sorted(attributes.items()))),
            time=now // 10**9,
            time_nano=now,
        )
        self.counts[kind, action.partition(":")[0]] += 1
        self._recent.append(message)
        self._unwritten.append(message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)
        for listener in self._listeners:
            _offer(listener, message)

    def flush(self) -> None:
        """Hand over what is not on its way to the disk yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unwritten and not self._closed:
            self._files.append(self._unwritten)
            self._unwritten = []

    def close(self) -> None:
        """Write everything, and let go of the files. What is published after this is told and not kept."""
        self.flush()
        self._closed = True
        self._files.close()

    def stream(self, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Message]:
        """Past events from `since_ns`, then new ones until `until_ns`; for ever where that is None.

        With neither only new ones. Listens from this call on, not from the first step. Ends early where the listener falls
        too far behind.
        """
        queue: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        self._listeners.add(queue)
        if since_ns is None and until_ns is not None:
            since_ns = 0
        return self._stream(queue, since_ns, until_ns, filters, self._last_ns)

    async def _stream(
        self,
        queue: asyncio.Queue[Message | None],
        since_ns: int | None,
        until_ns: int | None,
        filters: Filters,
        seen_ns: int,
    ) -> AsyncIterator[Message]:
        try:
            if since_ns is not None:
                # What came after `seen_ns` is in the queue.
                for message in await self._past(since_ns, seen_ns if until_ns is None else min(seen_ns, until_ns)):
                    if included(message, filters):
                        yield message
            while (message_ := await _next(queue, until_ns)) is not None:
                if included(message_, filters):
                    yield message_
        finally:
            self._listeners.discard(queue)

    async def _past(self, since_ns: int, until_ns: int) -> list[Message]:
        if self._recent and self._recent[0].time_nano <= since_ns:
            return [message for message in self._recent if since_ns <= message.time_nano <= until_ns]
        self.flush()
        return await asyncio.wrap_future(self._files.read(since_ns, until_ns))


def _offer(listener: asyncio.Queue[Message | None], message: Message) -> None:
    try:
        listener.put_nowait(message)
    except asyncio.QueueFull:
        while not listener.empty():
            listener.get_nowait()
        listener.put_nowait(None)


async def _next(queue: asyncio.Queue[Message | None], until_ns: int | None) -> Message | None:
    if until_ns is None:
        return await queue.get()
    left = (until_ns - time.time_ns()) / 1e9
    if left <= 0 and queue.empty():
        return None
    try:
        message = await asyncio.wait_for(queue.get(), max(left, 0.001))
    except TimeoutError:
        return None
    return message if message is not None and message.time_nano <= until_ns else None
