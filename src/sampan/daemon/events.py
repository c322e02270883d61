"""Everything that happens, told to whoever listens, kept in memory for a while and on disk within a bound."""

import asyncio
import os
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec

from sampan.daemon import matching
from sampan.daemon.matching import Filters
from sampan.spec.document import encode
from sampan.spec.events import Actor, Message

_KEPT = 256
_FILE_LIMIT = 1024 * 1024
"""Bytes of one of the two files; the older one goes when the newer is full."""
_FLUSH_SECONDS = 0.25
_WAITING = 4096
"""Events that a slow listener may be behind before its stream ends."""
_OLD_FORM = ("container", "image")
_decoder = msgspec.json.Decoder(Message)


class Events:
    """The event stream of one daemon. All methods belong to the event loop."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "events.jsonl"
        self._older = directory / "events.1.jsonl"
        self._recent: deque[Message] = deque(maxlen=_KEPT)
        self._unwritten: list[Message] = []
        # Weak: a stream that was made and never stepped through leaves nothing behind.
        self._listeners: weakref.WeakSet[asyncio.Queue[Message | None]] = weakref.WeakSet()
        self._last_ns = 0
        self._timer: asyncio.TimerHandle | None = None

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
            actor=Actor(id=subject, attributes=dict(attributes)),
            time=now // 10**9,
            time_nano=now,
        )
        self._recent.append(message)
        self._unwritten.append(message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        for listener in self._listeners:
            _offer(listener, message)

    def flush(self) -> None:
        """Write what is not on disk yet. A full disk loses the file's copy, not the stream."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data = b"".join(encode(message) + b"\n" for message in self._unwritten)
        self._unwritten.clear()
        if not data:
            return
        try:
            if self._file.exists() and self._file.stat().st_size + len(data) > _FILE_LIMIT:
                self._file.replace(self._older)
            with open(self._file, "ab", opener=_private) as file:
                file.write(data)
        except OSError:
            # Events are a convenience: what was acknowledged is in the state, not here.
            return

    def stream(self, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Message]:
        """Past events from `since_ns`, then new ones until `until_ns`; for ever where that is None.

        Without `since_ns` only new ones. Listens from this call on, not from the first step. Ends early where the listener
        falls too far behind.
        """
        queue: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        past = [] if since_ns is None else self._past(since_ns)
        self._listeners.add(queue)
        return self._stream(queue, past, until_ns, filters)

    async def _stream(
        self, queue: asyncio.Queue[Message | None], past: list[Message], until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Message]:
        try:
            for message in past:
                if (until_ns is None or message.time_nano <= until_ns) and included(message, filters):
                    yield message
            while (message_ := await _next(queue, until_ns)) is not None:
                if included(message_, filters):
                    yield message_
        finally:
            self._listeners.discard(queue)

    def _past(self, since_ns: int) -> list[Message]:
        if self._recent and self._recent[0].time_nano <= since_ns:
            return [message for message in self._recent if message.time_nano >= since_ns]
        self.flush()
        return [message for message in self._from_disk() if message.time_nano >= since_ns]

    def _from_disk(self) -> Iterator[Message]:
        for path in (self._older, self._file):
            try:
                lines = path.read_bytes().splitlines()
            except OSError:
                continue
            for line in lines:
                try:
                    yield _decoder.decode(line)
                except msgspec.DecodeError:
                    # The last line of a file that a crash cut short.
                    continue


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


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


_FUZZY = frozenset({"health_status", "exec_create", "exec_start"})
"""Actions that carry a text behind a colon; asked for without it, they are compared by their beginning."""


def included(message: Message, filters: Filters) -> bool:
    """Whether an event passes the filters, in Docker's rules."""
    if not filters:
        return True
    asked = filters.get("event") or ()
    compare = matching.prefix if _FUZZY & set(asked) else matching.exact
    attributes = message.actor.attributes
    return (
        compare(filters, "event", message.action)
        and matching.exact(filters, "type", message.type)
        and matching.exact(filters, "scope", message.scope)
        and all(_subject(message, filters, kind) for kind in ("daemon", "container", "plugin", "volume", "network"))
        and _image(message, filters)
        and matching.labels(filters, "label", attributes)
        and not any(filters.get(kind) for kind in ("node", "service", "secret", "config"))
    )


def _subject(message: Message, filters: Filters, kind: str) -> bool:
    name = message.actor.attributes.get("name", "")
    return matching.prefix(filters, kind, message.actor.id) or matching.prefix(filters, kind, name)


def _image(message: Message, filters: Filters) -> bool:
    name = message.actor.attributes.get("name" if message.type == "image" else "image", "")
    return any(matching.exact(filters, "image", text) for text in (message.actor.id, name, _untagged(name)))


def _untagged(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition("@")[0].partition(":")[0]
