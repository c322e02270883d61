"""Telling a client whose connection is no longer HTTP what went wrong, in the stream's own form."""

import asyncio
import struct

from sampan.kernel.sockets import unread
from sampan.spec.requests import Hijacked

_OUTPUT = 1
_HEAD_SECONDS = 0.25
_HEAD_PAUSE = 0.0005
_LOOKS = 20


async def head_read(connection: Hijacked) -> None:
    """Wait until the client has read the head of the answer, a quarter of a second at most.

    docker-py reads the head through a buffer and goes on with the bare socket: what arrives together with it is lost.
    Docker takes long enough that it never does. Raises OSError where the connection is gone.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _HEAD_SECONDS
    # A client that waits for it on a machine at rest reads it within a tenth of a millisecond: less than any pause.
    for _ in range(_LOOKS):
        if not unread(connection.sock):
            return
        await asyncio.sleep(0)
    while unread(connection.sock) and loop.time() < until:  # noqa: ASYNC110 - the kernel tells nobody when a peer has read
        await asyncio.sleep(_HEAD_PAUSE)


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
