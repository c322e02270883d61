"""A session inside a call: bytes of HTTP/2 in messages, as `buildx bake` opens the one that its builds share.

Control/Session ── BytesMessage ──▶ socket pair ──▶ sessions, as from `POST /session`
"""

import asyncio
import socket
from collections.abc import Mapping

from grpclib.exceptions import StreamTerminatedError
from grpclib.server import Stream

from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.sessions import Sessions, offer_of
from sampan.spec.requests import Hijacked

_PIECE = 64 * 1024


async def tunnelled(
    stream: "Stream[control.BytesMessage, control.BytesMessage]", headers: Mapping[bytes, bytes], sessions: Sessions
) -> None:
    """Keep the session until either end closes it. Raises InvalidParameter, Conflict."""
    offer = offer_of(headers)
    sessions.check(offer)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    await stream.send_initial_metadata()
    loop = asyncio.get_running_loop()
    work = [
        loop.create_task(sessions.keep(offer, Hijacked(theirs))),
        loop.create_task(_inwards(stream, ours)),
        loop.create_task(_outwards(stream, ours)),
    ]
    try:
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        ours.close()


async def _inwards(stream: "Stream[control.BytesMessage, control.BytesMessage]", sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while (message := await stream.recv_message()) is not None:
        await loop.sock_sendall(sock, message.data)


async def _outwards(stream: "Stream[control.BytesMessage, control.BytesMessage]", sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while piece := await loop.sock_recv(sock, _PIECE):
            await stream.send_message(control.BytesMessage(data=piece))
    except StreamTerminatedError:
        return
