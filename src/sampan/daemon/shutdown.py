"""The end of a daemon that takes its containers along (`live-restore: false`)."""

import asyncio
import logging

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.stop import stop_container
from sampan.errors import SampanError

_log = logging.getLogger("sampan.daemon")


async def stop_all(engine: Engine) -> None:
    """Stop every container, all at once, each with its own patience; the daemon's where it has none."""

    async def one(container: Container) -> None:
        patience = container.definition.config.stop_timeout
        if patience is None or patience < 0:
            patience = engine.config.shutdown_timeout
        try:
            await stop_container(engine, container, timeout=patience, verb="shutdown")
        except SampanError as error:
            _log.error("container %s could not be stopped: %s", container.id[:12], error)

    await asyncio.gather(*(one(container) for container in engine.containers if container.state.running))
