"""The terminal a person sits at: raw mode and its undoing, the window's size."""

from __future__ import annotations

import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    Attributes = list[int | list[bytes | int]]


class RawTerminal:
    """Raw mode on `descriptor` while inside the `with`; does nothing where the descriptor is no terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: Attributes | None = None

    def __enter__(self) -> Self:
        if os.isatty(self._descriptor):
            self._before = termios.tcgetattr(self._descriptor)
            termios.tcsetattr(self._descriptor, termios.TCSANOW, _raw(termios.tcgetattr(self._descriptor)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
            self._before = None


def _raw(attributes: Attributes) -> Attributes:
    """termios(3)'s cfmakeraw: bytes come and go as they are, and Ctrl-C is one of them."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = attributes
    assert isinstance(iflag, int)
    assert isinstance(oflag, int)
    assert isinstance(cflag, int)
    assert isinstance(lflag, int)
    assert isinstance(characters, list)
    t = termios
    iflag &= ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON)
    oflag &= ~t.OPOST
    lflag &= ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN)
    cflag = (cflag & ~(t.CSIZE | t.PARENB)) | t.CS8
    characters[t.VMIN] = 1
    characters[t.VTIME] = 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, characters]


def window_size(descriptor: int) -> tuple[int, int]:
    """(rows, columns) of the terminal; (0, 0) where there is none."""
    try:
        rows, columns = termios.tcgetwinsize(descriptor)
    except (termios.error, OSError):
        return 0, 0
    return rows, columns
