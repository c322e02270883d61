"""The program's three streams, as its monitor holds them.

Loaded by the launcher.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Streams:
    """The monitor's ends: pipes, or with a terminal its master, which init makes and sends."""

    __slots__ = ("input", "outputs", "terminal")

    def __init__(self) -> None:
        self.input = -1
        self.outputs: list[tuple[int, int]] = []
        """descriptors to read, and which of the program's streams each is (1 or 2)"""
        self.terminal = -1


def open_streams(streams: Streams, stdio: dict[str, Any]) -> list[int]:
    """Pipes for input, output and errors, or /dev/null; with a terminal nothing. Returns the program's ends."""
    if stdio["tty"]:
        return []
    if stdio["open_stdin"]:
        program_input, streams.input = os.pipe()
    else:
        program_input = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ends = [program_input]
    for stream in (1, 2):
        reading, writing = os.pipe()
        streams.outputs.append((reading, stream))
        ends.append(writing)
    return ends
