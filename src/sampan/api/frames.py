"""Docker's multiplexed stream: eight bytes in front of each piece say which stream it is and how long."""

from collections.abc import Iterable
from struct import Struct

from sampan.api.backend import LogRecord

STDOUT = 1
STDERR = 2
SYSTEM_ERROR = 3

_HEADER = Struct(">BxxxI")


def multiplex(records: Iterable[LogRecord]) -> bytes:
    """The records, each in its frame."""
    pack = _HEADER.pack
    parts: list[bytes] = []
    for stream, line in records:
        parts.append(pack(stream, len(line)))
        parts.append(line)
    return b"".join(parts)


def plain(records: Iterable[LogRecord]) -> bytes:
    """The records one behind the other, as a terminal's log is sent."""
    return b"".join([line for _, line in records])
