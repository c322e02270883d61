"""A build's progress as BuildKit's status stream tells it, to everybody who listens, from its beginning.

GraphReport ── tell(event) ──▶ Statuses ──▶ StatusResponse ──▶ each `Status` call
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp

from sampan.build.progress import AmountEvent, Event, LogEvent, Number, VertexEvent, WarningEvent
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import operations_pb2 as operations

_KEPT = 8 * 1024 * 1024
"""Bytes of messages that are kept for who listens late or slowly; of a longer build the oldest output is lost to them."""
_BATCH = 128


class Statuses:
    """The messages of one build. On the event loop."""

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._messages: list[control.StatusResponse] = []
        self._dropped = 0
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()
        self.steps: dict[Number, VertexEvent] = {}
        """the last that was told of each vertex"""
        self.warnings = 0

    def tell(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event, VertexEvent):
            self.steps[event.vertex] = event
        self.warnings += isinstance(event, WarningEvent)
        message = self._message(event)
        self._messages.append(message)
        self._size += message.ByteSize()
        while self._size > _KEPT and len(self._messages) > 1:
            self._size -= self._messages.pop(0).ByteSize()
            self._dropped += 1
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._wake()

    def forget(self) -> None:
        """Let go of what was told; who listens hears the rest."""
        self._dropped += len(self._messages)
        self._messages.clear()
        self._size = 0

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def messages(self) -> AsyncIterator[control.StatusResponse]:
        """All of them, from the first, several in one where they are waiting; ends with the build."""
        at = 0
        while True:
            at = max(at, self._dropped)
            waiting = self._messages[at - self._dropped : at - self._dropped + _BATCH]
            if waiting:
                at += len(waiting)
                whole = control.StatusResponse()
                for message in waiting:
                    whole.MergeFrom(message)
                yield whole
            elif self._ended:
                return
            else:
                await self._changed.wait()

    def digest(self, vertex: Number) -> str:
        """A vertex's name on the wire: clients want a digest, and the same for the same vertex."""
        return "sha256:" + hashlib.sha256(f"{self._ref} {vertex}".encode()).hexdigest()

    def _message(self, event: Event) -> control.StatusResponse:
        answer = control.StatusResponse()
        match event:
            case VertexEvent():
                answer.vertexes.append(self._vertex(event))
            case LogEvent():
                answer.logs.append(
                    control.VertexLog(
                        vertex=self.digest(event.vertex),
                        timestamp=moment(event.at),
                        stream=event.stream,
                        msg=event.data,
                    )
                )
            case AmountEvent():
                answer.statuses.append(self._amount(event))
            case WarningEvent():
                answer.warnings.append(self._warning(event))
        return answer

    def _vertex(self, event: VertexEvent) -> control.Vertex:
        return control.Vertex(
            digest=self.digest(event.vertex),
            inputs=[self.digest(number) for number in event.inputs],
            name=event.name,
            cached=event.cached,
            started=moment(event.started),
            completed=moment(event.completed),
            error=event.error,
        )

    def _amount(self, event: AmountEvent) -> control.VertexStatus:
        return control.VertexStatus(
            ID=event.part,
            vertex=self.digest(event.vertex),
            current=event.current,
            total=event.total,
            timestamp=moment(event.at),
            started=moment(event.started),
            completed=moment(event.completed),
        )

    def _warning(self, event: WarningEvent) -> control.VertexWarning:
        short = f"{event.rule}: {event.message}" + (f" (line {event.line})" if event.line else "")
        ends = [operations.Position(line=line) for line in (event.line, event.end)]
        return control.VertexWarning(
            vertex=self.digest(event.vertex),
            level=1,
            short=short.encode(),
            url=event.url,
            ranges=[operations.Range(start=ends[0], end=ends[1])] if event.line else [],
        )


def moment(nanoseconds: int) -> Timestamp | None:
    """A time; None for one that is not known."""
    if not nanoseconds:
        return None
    return Timestamp(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)
