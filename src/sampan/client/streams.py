"""The multiplexed stream of attach, exec and logs: frames of one type byte, three zero bytes, a big-endian length, a payload.

Source: the Engine API's description of ContainerAttach. Stream 0 is stdin (sent back as stdout), 1 stdout, 2 stderr,
3 an error of the daemon's that ends the conversation.
"""

from __future__ import annotations

from sampan.client.failures import BrokenConversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT = 1
STDERR = 2
SYSTEM_ERROR = 3
MAX_SYSTEM_ERROR = 65536


class Demultiplexer:
    """Takes bytes as they arrive, gives (stream, payload) pieces. Holds at most a header: a frame passes through in parts."""

    __slots__ = ("_header", "_left", "_message", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._stream = 0
        self._message = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The pieces that `data` completes. BrokenConversation on an unknown stream, or with the daemon's own error text."""
        at = 0
        while at < len(data):
            if self._left == 0:
                taken = data[at : at + 8 - len(self._header)]
                self._header += taken
                at += len(taken)
                if len(self._header) == 8:
                    self._open_frame()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._stream == SYSTEM_ERROR:
                self._collect_error(piece)
            else:
                yield self._stream, piece

    def _open_frame(self) -> None:
        kind = self._header[0]
        self._left = int.from_bytes(self._header[4:8], "big")
        self._header = b""
        if kind > SYSTEM_ERROR:
            raise BrokenConversation(f"unrecognized stream type {kind} in the daemon's answer")
        self._stream = kind or STDOUT
        if kind == SYSTEM_ERROR and self._left == 0:
            self._collect_error(b"")

    def _collect_error(self, piece: bytes) -> None:
        self._message += piece
        if self._left == 0 or len(self._message) > MAX_SYSTEM_ERROR:
            text = str(self._message[:MAX_SYSTEM_ERROR], "utf-8", "replace")
            raise BrokenConversation(f"error from daemon in stream: {text}")

    @property
    def inside_frame(self) -> bool:
        """Whether the stream may not end here: a header or a payload is still incomplete."""
        return bool(self._header) or self._left > 0
