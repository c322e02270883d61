r"""Writes the log of driver `local`, and the local copy of drivers that ship logs elsewhere: compact, bytes as they came.

    o18b3f2a4c5d6e7f8 hello

A letter for the stream (`o` output, `e` errors; `O` and `E` where the line goes on in the next record of the stream, or ends
without a newline), sixteen hexadecimal digits for the nanoseconds since the epoch, a blank, the text, a newline. The text
needs no escapes, since a line has no newline inside. Each file is numbered (`LogFile`), so that whoever ships it knows what
it missed. What every record would carry beside its text (labels, variables, tag) stands once, in a file beside the log.

Loaded by the launcher.
"""

from __future__ import annotations

import os

from sampan.logs.line_writer import LineWriter

ATTRIBUTES = ".attributes"
"""The file beside the log: a JSON object, the newest run's."""
_LETTERS = {(1, True): b"o", (1, False): b"O", (2, True): b"e", (2, False): b"E"}
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


class LocalWriter(LineWriter):
    """See `LogFile` for bounds and failures. `attributes` is a JSON object, b"" for none. The log's directory is made."""

    __slots__ = ()

    def __init__(
        self, path: str, max_size: int = -1, max_files: int = 1, attributes: bytes = b"", compress: bool = False
    ) -> None:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        _keep_attributes(path + ATTRIBUTES, attributes)
        super().__init__(path, max_size, max_files, compress, numbered=True)

    def around(self, stream: int, whole: bool, moment: bytes) -> tuple[bytes, bytes]:
        """See `LineWriter`, here and below."""
        return _LETTERS[stream, whole] + moment, b"\n"

    def escaped(self, text: bytes) -> bytes:
        """As it is."""
        return text

    def moment(self, time_ns: int) -> bytes:
        """Nanoseconds in hexadecimal, and the blank behind them."""
        return b"%016x " % time_ns


def _keep_attributes(path: str, attributes: bytes) -> None:
    try:
        if not attributes:
            os.unlink(path)
            return
        descriptor = os.open(path, _OPEN, 0o640)
    except OSError:
        # There were none; or no room, and a log without them is better than no program.
        return
    try:
        os.write(descriptor, attributes)
    except OSError:
        return
    finally:
        os.close(descriptor)
