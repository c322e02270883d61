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
            done.set_exception(StartFailed(StartFault.NETWORK, "the process that changes the network ended"))

    channel = Channel(ours, heard, closed)
    try:
        body = relink_body(monitored.id, change) | {"request_id": request_id.current()}
        pidfd = await launcher.fork(Kind.RELINK, body, [theirs.fileno(), monitored.pidfd])
        os.close(pidfd)
        theirs.close()
        await asyncio.wait_for(done, _SECONDS)
    except TimeoutError as error:
        raise StartFailed(StartFault.NETWORK, f"the network was not changed within {_SECONDS:g} s") from error
    finally:
        theirs.close()
        channel.close()
