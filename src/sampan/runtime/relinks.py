"""The daemon's side of a relinker: one for each change of a running container's network."""

import asyncio
import os

from sampan.runtime.channel import Channel
from sampan.runtime.launcher_port import LauncherPort
from sampan.runtime.messages import Kind, Message, pair
from sampan.runtime.monitored import Monitored
from sampan.runtime.plan import relink as relink_body
from sampan.runtime.request import LinkChange
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.telemetry import request_id

_SECONDS = 30.0


class _Ended(StartFailed):
    """Nobody has the other end any more, and nobody has said what became of the change."""


async def relink(launcher: LauncherPort, monitored: Monitored, change: LinkChange) -> None:
    """See `port.Runtime.relink`."""
    ours, theirs = pair()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(message: Message) -> None:
        body = message.body
        message.close()
        if done.done():
            return
        if message.kind is Kind.READY:
            done.set_result(None)
        else:
            done.set_exception(StartFailed(StartFault.NETWORK, str(body.get("message", "")), int(body.get("errno", 0))))

    def closed() -> None:
        if not done.done():
            done.set_exception(_Ended(StartFault.NETWORK, "the process that changes the network ended"))

    channel = Channel(ours, heard, closed)
    unsaid: StartFailed | None = None
    try:
        body = relink_body(monitored.id, change) | {"request_id": request_id.current()}
        try:
            os.close(await launcher.fork(Kind.RELINK, body, [theirs.fileno(), monitored.pidfd]))
        except StartFailed as error:
            # There may be a relinker all the same, whose launcher ended before it could say so: it has the other end then.
            unsaid = error
        theirs.close()
        await asyncio.wait_for(done, _SECONDS)
    except _Ended as error:
        raise unsaid or error from None
    except TimeoutError as error:
        raise StartFailed(StartFault.NETWORK, f"the network was not changed within {_SECONDS:g} s") from error
    finally:
        theirs.close()
        channel.close()
