"""Bytes between this process's stdio and a container's: one loop, one poll, no threads.

Neither side may make the other wait: input that the daemon does not take is held (up to one read) and output goes on flowing.
"""

from __future__ import annotations

import os
import select

from sampan.client.streams import STDERR, Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.attach.signals import SignalPipe
    from sampan.client.wire import Wire
    from sampan.spec.detach_keys import Detector

CHUNK = 65536


class Pump:
    """Carries one attached stream until it ends. `stdin` is a descriptor or -1; `tty` means one raw stream, not frames.

    `outputs` are the descriptors for the container's stdout and stderr, -1 for one that nobody wants. `until` is a descriptor
    whose readability ends the pump too (the wait request, where no output is attached), or -1.
    """

    def __init__(self, wire: Wire, tty: bool, stdin: int, outputs: tuple[int, int], until: int = -1) -> None:
        self._wire = wire
        self._stdin = stdin
        self._outputs = outputs
        self._frames = None if tty else Demultiplexer()
        self._pending = b""
        self._listening = False  # whether stdin is in the poll set: POLLHUP cannot be masked, so it is taken out
        self._until = until
        self._said_end = stdin < 0  # who was given no stdin leaves the direction open, as docker does
        self._poll = select.poll()
        self.detector: Detector | None = None
        self.signals: SignalPipe | None = None
        self.on_signal: Callable[[int], None] = _nothing

    def run(self) -> bool:
        """Carry bytes until the daemon ends the stream (True) or the detach keys were typed (False)."""
        self._wire.set_timeout(0)
        self._poll.register(self._wire.fileno(), select.POLLIN)
        self._listen(True)
        if self.signals is not None:
            self._poll.register(self.signals.descriptor, select.POLLIN)
        if self._until >= 0:
            self._poll.register(self._until, select.POLLIN)
        waiting = bool(self._wire.buffer)  # bytes that came with the head of the answer, and perhaps the end after them
        while True:
            for descriptor, _ in self._poll.poll(0 if waiting else None):
                if descriptor == self._stdin and not self._read_input():
                    return False
                if self.signals is not None and descriptor == self.signals.descriptor:
                    for number in self.signals.arrived():
                        self.on_signal(number)
                if descriptor == self._until:
                    return True
                if descriptor == self._wire.fileno():
                    waiting = True
            self._flush_input()
            if waiting and not self._read_output():
                return True
            waiting = False

    # ---- towards the container

    def _read_input(self) -> bool:
        data = os.read(self._stdin, CHUNK)
        if not data:
            self._close_input()
            self._end_of_input()
            return True
        if self.detector is not None:
            data = self.detector.feed(data)
        self._pending += data
        self._flush_input()
        return not (self.detector is not None and self.detector.detached)

    def _flush_input(self) -> None:
        if not self._pending and not self._wire.holding:
            return
        from sampan.client.failures import BrokenConversation

        try:
            sent = self._wire.send_some(self._pending)
        except BrokenConversation:
            # the program has ended and nobody reads any more: what is still to come back is read all the same
            sent = len(self._pending)
            self._close_input()
        self._pending = self._pending[sent:]
        waits = bool(self._pending) or self._wire.holding
        self._poll.modify(self._wire.fileno(), select.POLLIN | (select.POLLOUT if waits else 0))
        self._listen(not self._pending)
        self._end_of_input()

    def _end_of_input(self) -> None:
        """Say once that no more comes, after the last of it has been taken."""
        if self._stdin < 0 and not self._pending and not self._said_end:
            self._said_end = True
            self._wire.close_writing()

    def _listen(self, wanted: bool) -> None:
        if self._stdin < 0 or wanted == self._listening:
            return
        self._listening = wanted
        if wanted:
            self._poll.register(self._stdin, select.POLLIN)
        else:
            self._poll.unregister(self._stdin)

    def _close_input(self) -> None:
        self._listen(False)
        self._stdin = -1

    # ---- towards the person

    def _read_output(self) -> bool:
        while True:
            data = self._wire.receive()
            if data is None:
                return True
            if not data:
                return False
            if self._frames is None:
                _write(self._outputs[0], data)
            else:
                for stream, piece in self._frames.feed(data):
                    _write(self._outputs[1 if stream == STDERR else 0], piece)
            if len(data) < CHUNK and not self._wire.tls:
                return True


def _nothing(number: int) -> None:
    """A signal that nobody asked about."""


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while descriptor >= 0 and view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # someone who shares our stdout made it non-blocking
            waiter = select.poll()
            waiter.register(descriptor, select.POLLOUT)
            waiter.poll()
