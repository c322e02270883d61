"""Telling a client whose connection is no longer HTTP what went wrong, in the stream's own form."""

import struct

from sampan.spec.requests import Hijacked

_OUTPUT = 1


def refuse(connection: Hijacked, text: str, *, raw: bool) -> None:
    """Write `text` where the program's output would be, as Docker does, and close. A client that has gone is no fault."""
    data = text.encode(errors="replace") + b"\r\n"
    frame = data if raw else struct.pack(">BxxxL", _OUTPUT, len(data)) + data
    try:
        connection.sock.send(frame)
    except OSError:
        pass
    finally:
        connection.sock.close()
