"""A client that is attached to a program: framing, input, detach keys, and no more memory than a bound.

The connection came from the daemon, which has answered the HTTP head and is out of the path. Output is multiplexed with
Docker's eight-byte header unless the program has a terminal. A client that does not read makes the monitor stop reading
from the program (back-pressure), or in non-blocking mode is left out; it never makes it remember more than `LIMIT`.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from sampan.kernel.sockets import unread
from sampan.spec.detach_keys import Detector

LIMIT = 1024 * 1024
CHUNK = 64 * 1024
_FRAME = struct.Struct(">BxxxI")
_HEAD_SECONDS = 0.25
_HEAD_PAUSE = 0.0005


class Client:
    """One attached connection. `wants` lists the streams it gets: 1 for output, 2 for errors."""

    __slots__ = (
        "_keys",
        "closing",
        "framed",
        "input_ended",
        "left_out",
        "pending_input",
        "sock",
        "stdin",
        "unsent",
        "wants",
    )

    def __init__(
        self, sock: socket.socket, wants: frozenset[int], stdin: bool, framed: bool, pending: bytes, keys: bytes
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.wants = wants
        self.stdin = stdin
        self.framed = framed
        self.pending_input = pending
        """input that came behind the request's head, still to be given to the program"""
        self.input_ended = False
        self.closing = False
        """what is unsent still goes out, then the connection is closed"""
        self.unsent = bytearray()
        self.left_out = 0
        """bytes that had no room (in non-blocking mode only) and are not told yet"""
        self._keys = Detector(keys)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.sock.fileno()

    def wait_for_head(self) -> None:
        """Return when the client has read the head of the daemon's answer; after a quarter of a second at most.

        docker-py reads the head through a buffer and goes on with the bare socket: what arrives together with it is lost.
        The program has long been started by then, so the wait is hardly ever one.
        """
        until = time.monotonic() + _HEAD_SECONDS
        try:
            while unread(self.sock) and time.monotonic() < until:
                time.sleep(_HEAD_PAUSE)
        except OSError:
            return  # its end is found by the first write

    @property
    def full(self) -> bool:
        """Whether the program must wait for this client."""
        return len(self.unsent) >= LIMIT

    def output(self, stream: int, data: bytes) -> bool:
        """Give the client some output. False where the connection is gone."""
        if stream not in self.wants or self.closing:
            return True
        framed = _FRAME.pack(stream, len(data)) + data if self.framed else data
        if self.left_out:
            framed = self._apology() + framed
        if self.unsent:
            self.unsent += framed
            return True
        try:
            sent = self.sock.send(framed, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(framed):
            self.unsent += memoryview(framed)[sent:]
        return True

    def leave_out(self, stream: int, data: bytes) -> None:
        """Drop output that there is no room for; the client is told how much once there is."""
        if stream in self.wants and not self.closing:
            self.left_out += len(data)

    def _apology(self) -> bytes:
        missed, self.left_out = self.left_out, 0
        text = b"\r\nsampan: %d bytes of output were left out: this client reads too slowly\r\n" % missed
        return _FRAME.pack(2, len(text)) + text if self.framed else text

    def flush(self) -> bool:
        """Send what waits. False where the connection is gone."""
        try:
            sent = self.sock.send(self.unsent, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return True
        except OSError:
            return False
        del self.unsent[:sent]
        return True

    def input(self) -> bytes | None:
        """What the client typed; None where nothing has come, b"" at its end. Raises Detached when it typed the detach keys."""
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            self.input_ended = True
            return b""
        if not data:
            self.input_ended = True
            return b""
        return self.without_keys(data)

    def without_keys(self, data: bytes) -> bytes:
        """`data`, with a begun run of detach keys held back until it is complete or proves to be something else."""
        passed = self._keys.feed(data)
        if self._keys.detached:
            raise Detached(passed)
        return passed

    def close(self) -> None:
        """End the connection; what was sent still arrives."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other side was faster.
            pass
        self.sock.close()


class Detached(Exception):
    """The detach keys were typed; `rest` is what came before them."""

    def __init__(self, rest: bytes) -> None:
        super().__init__("read escape sequence")
        self.rest = rest


class Input:
    """The program's input: a pipe or the terminal's master, written without blocking, bounded."""

    __slots__ = ("_is_terminal", "descriptor", "ending", "unsent")

    def __init__(self, descriptor: int, is_terminal: bool) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.unsent = bytearray()
        self.ending = False
        """no more input will come: the pipe closes once it is drained"""
        self._is_terminal = is_terminal

    @property
    def full(self) -> bool:
        """Whether clients must wait."""
        return len(self.unsent) >= CHUNK

    def give(self, data: bytes) -> None:
        """Write `data` or keep it; lost without a word where the program has closed its input, as in a shell's pipe."""
        if self.descriptor < 0 or self.ending:
            return
        self.unsent += data
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.descriptor < 0:
            return
        if self.unsent:
            try:
                written = os.write(self.descriptor, self.unsent)
            except BlockingIOError:
                return
            except OSError:
                self.unsent.clear()
                self.close()
                return
            del self.unsent[:written]
        if self.ending and not self.unsent:
            self.close()

    def end(self) -> None:
        """No more input comes. A terminal has no end of input; its master stays open for output."""
        if not self._is_terminal:
            self.ending = True
            self.flush()

    def close(self) -> None:
        """Close the pipe at once; a terminal's master belongs to the output side."""
        if self.descriptor >= 0 and not self._is_terminal:
            os.close(self.descriptor)
        self.descriptor = -1
