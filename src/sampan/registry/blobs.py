"""A blob as it comes from a registry: one stream, whatever happens to the connections that it comes by.

cut at byte n ──▶ ask again from n ──▶ 206: goes on        200 (Range is not known here): n bytes are read and dropped
"""

import io
import logging
import re
import time
from collections.abc import Callable

from sampan.registry.faults import Unreachable, Untrustworthy
from sampan.registry.settings import Patience
from sampan.registry.transport import Answer

_log = logging.getLogger("sampan.registry")
_PIECE = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)")

Opener = Callable[[int], Answer]
"""Asks for the blob from an offset on: an answer of status 200 or 206."""


class BlobStream(io.RawIOBase):
    """The bytes from `offset` to `size`. Reading raises Unreachable when resuming has been tried often enough in vain."""

    def __init__(self, opener: Opener, size: int, offset: int, patience: Patience) -> None:
        super().__init__()
        self._opener = opener
        self._size = size
        self._at = offset
        self._patience = patience
        self._broken = 0
        self._answer = self._open()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override] # RawIOBase: any buffer
        """Some bytes, 0 at the end."""
        piece = self._next(min(len(buffer), self._size - self._at))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Give the connection up."""
        if not self.closed:
            self._answer.close()
        super().close()

    def _next(self, most: int) -> bytes:
        while most > 0:
            try:
                piece = self._answer.piece(most)
                if not piece:
                    raise Unreachable(f"{self._answer.request}: unexpected EOF", late=True)
            except Unreachable as error:
                self._resume(error)
                continue
            self._at += len(piece)
            self._broken = 0
            if self._at == self._size:
                self._answer.discard()
            return piece
        return b""

    def _resume(self, error: Unreachable) -> None:
        self._answer.close()
        while True:
            self._broken += 1
            if self._broken >= self._patience.attempts or not error.late:
                raise error
            _log.info("%s: going on from byte %d", error, self._at)
            time.sleep(min(self._patience.pause * 2 ** (self._broken - 1), self._patience.longest_pause))
            try:
                self._answer = self._open()
            except Unreachable as again:
                error = again
            else:
                return

    def _open(self) -> Answer:
        answer = self._opener(self._at)
        try:
            _move_to(answer, self._at)
        except BaseException:
            answer.close()
            raise
        return answer


def _move_to(answer: Answer, offset: int) -> None:
    """Have `answer` stand at `offset`."""
    if answer.status == 206:
        given = answer.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(given)
        if match is None or int(match[1]) != offset:
            raise Untrustworthy(
                f"{answer.request}: asked for bytes from {offset} on, got Content-Range {given[:100]!r}"
            )
        return
    left = offset
    while left:
        piece = answer.piece(min(left, _PIECE))
        if not piece:
            raise Unreachable(f"{answer.request}: unexpected EOF", late=True)
        left -= len(piece)
