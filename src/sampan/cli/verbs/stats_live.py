"""`stats` that goes on: a stream for each container, one for the events that bring and take them, and a table drawn anew."""

from __future__ import annotations

import os
import select
import sys
import time

from sampan.cli.failures import Exit
from sampan.cli.output.progress import MAX_MESSAGE
from sampan.cli.verbs.filters import encode_filters
from sampan.cli.verbs.stats import running
from sampan.client import documents
from sampan.client.documents import object_of, text_of
from sampan.client.engine import quoted
from sampan.client.failures import BrokenConversation, RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampan.cli.session import Session
    from sampan.cli.verbs.stats import Draw
    from sampan.client.documents import Document
    from sampan.client.http import Response

_REDRAW = 0.5
_STALE = 2.0
"""Seconds without news after which a row shows dashes."""
_FIRST = 3.0
"""Seconds that the first table waits for every container's first sample."""


class _Stream:
    """Lines of JSON as they come, without waiting for more than a poll has promised."""

    def __init__(self, response: Response) -> None:
        self.wire = response.wire
        self._pieces = response.pieces()
        self._held = b""
        self.over = False

    def take(self) -> Iterator[Document]:
        """The documents that have arrived."""
        while not self.over:
            piece = next(self._pieces, None)
            if piece is None:
                self.over = True
                return
            *lines, self._held = (self._held + piece).split(b"\n")
            if len(self._held) > MAX_MESSAGE:
                raise documents.MalformedDocument(f"a message of more than {MAX_MESSAGE} bytes")
            yield from (documents.document(line) for line in lines if line.strip())
            if not self.wire.buffer:
                return


class _Board:
    """The containers that are shown, in the order in which they came."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.streams: dict[str, _Stream] = {}
        self.samples: dict[str, tuple[float, Document]] = {}

    def add(self, name: str) -> None:
        """Show one more. RefusedByDaemon where there is none of that name."""
        if name not in self.streams:
            path = f"/containers/{quoted(name)}/stats"
            self.streams[name] = _Stream(self._session.engine.stream("GET", path, {"stream": "1"}))

    def drop(self, name: str) -> None:
        """Show it no more."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            stream.wire.close()
        self.samples.pop(name, None)

    def take(self, name: str) -> None:
        """News of one; of several samples the last counts."""
        for sample in self.streams[name].take():
            self.samples[name] = (time.monotonic(), sample)

    def shown(self, name: str) -> Document | None:
        """The newest sample of one; None where it is too old."""
        taken, sample = self.samples.get(name, (0.0, None))
        return sample if time.monotonic() - taken < _STALE else None


def follow(session: Session, names: list[str], everything: bool, draw: Draw) -> int:
    """Draw until interrupted, or until every container that was named is gone."""
    board = _Board(session)
    # Heard before the list is read: none that starts in between is missed.
    events = (
        None
        if names
        else _Stream(session.engine.stream("GET", "/events", {"filters": encode_filters(["type=container"])}))
    )
    _begin(board, names or running(session, everything=everything), named=bool(names))
    began = drawn = time.monotonic()
    while True:
        _poll(board, events, everything)
        now = time.monotonic()
        waiting = len(board.samples) < len(board.streams) and now - began < _FIRST
        if now - drawn >= _REDRAW and not waiting:
            drawn = now
            _show(draw([(name, board.shown(name)) for name in board.streams]))
        if events is not None and events.over:
            raise BrokenConversation("the daemon has ended the stream of events")
        if events is None and all(stream.over for stream in board.streams.values()):
            return 0


def _begin(board: _Board, names: list[str], *, named: bool) -> None:
    failures = []
    for name in names:
        try:
            board.add(name)
        except RefusedByDaemon as refusal:
            # One of a list may be gone by now; one that was named has to be there.
            if named:
                failures.append(str(refusal))
    if failures:
        raise Exit(1, "\n".join(failures))


def _poll(board: _Board, events: _Stream | None, everything: bool) -> None:
    poll = select.poll()
    by_descriptor = {stream.wire.fileno(): name for name, stream in board.streams.items() if not stream.over}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    if events is not None:
        poll.register(events.wire.fileno(), select.POLLIN)
    for descriptor, _ in poll.poll(int(_REDRAW * 1000)):
        if descriptor in by_descriptor:
            board.take(by_descriptor[descriptor])
        elif events is not None:
            for event in events.take():
                _heed(board, event, everything)


def _heed(board: _Board, event: Document, everything: bool) -> None:
    name = text_of(object_of(event, "Actor"), "ID")[:12]
    action = text_of(event, "Action")
    if action == "start" or (action == "create" and everything):
        _begin(board, [name], named=False)
    elif action == "destroy" or (action == "die" and not everything):
        board.drop(name)


def _show(lines: list[str]) -> None:
    """On a terminal over what was there: home, each line to its end, and what is left below; else one table after the other."""
    text = "\n".join(lines) + "\n"
    if os.isatty(1):
        text = "\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J"
    sys.stdout.write(text)
    sys.stdout.flush()
