"""Telling a client whose connection is no longer HTTP what went wrong, in the stream's own form."""

import struct

from sampan.spec.requests import Hijacked

_SYSTEM_ERROR = 3
"""The multiplexed stream's fourth channel: an error of the engine, which the client prints and exits with."""


def refuse(connection: Hijacked, text: str, *, tty: bool) -> None:
    """Write `text` and close the connection. A client that has gone already is no fault."""
    data = text.encode(errors="replace")
    frame = data if tty else struct.pack(">BxxxL", _SYSTEM_ERROR, len(data)) + data
    try:
        connection.sock.send(frame)
    except OSError:
        pass
    finally:
        connection.sock.close()
