"""`logs --clear`: a container's log begins anew, while its program writes and while clients follow."""

import asyncio

from sampan.daemon import log_settings
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.errors import Conflict, NotImplementedHere, System
from sampan.logs.clearing import clear


async def clear_log(engine: Engine, reference: str) -> None:
    """Forget what a container has written. Whoever follows the log reads on; a line that is begun is not lost.

    Raises NotFound; NotImplementedHere where the driver keeps no log; System where the disk does not let it go.
    """
    container = engine.find(reference)
    if not log_settings.settings(container.definition).readable:
        raise NotImplementedHere("configured logging driver does not support reading")
    try:
        # Its monitor writes as long as it is there, whatever the state says: while it is not, nothing else may begin to.
        await engine.runtime.clear_log(container.id)
    except KeyError:
        async with container.lock:
            await _clear_here(engine, container)
    except OSError as error:
        raise System(f"cannot clear the log of container {container.id[:12]}: {error}") from error


async def _clear_here(engine: Engine, container: Container) -> None:
    if container.state.running:
        raise Conflict(f"container {container.name} is just starting: try again")
    try:
        await asyncio.to_thread(clear, log_settings.path(engine.directory(container.id), container.definition))
    except OSError as error:
        why = f"{error.strerror}: {error.filename or ''}".rstrip(": ")
        raise System(f"cannot clear the log of container {container.id[:12]}: {why}") from error
