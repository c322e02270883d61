"""Pause and unpause: every process of a container stands still until it is told to go on, or to end."""

import logging

from sampan.daemon import health
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.states import Status
from sampan.errors import Conflict, System

_log = logging.getLogger("sampan.daemon")


async def pause(engine: Engine, reference: str) -> None:
    """Freeze a running container. Raises Conflict in any other state, System where its processes do not come to rest."""
    container = engine.find(reference)
    async with container.lock:
        _check(container)
        container.pausing = True
        try:
            await engine.runtime.pause(container.id)
        except KeyError as error:
            raise Conflict(f"container {container.id} is not running") from error
        except OSError as error:
            raise System(f"cannot pause container {container.id}: {error.strerror}") from error
        finally:
            called_off, container.pausing = not container.pausing, False
        if container.state.status is not Status.RUNNING:
            raise Conflict(f"container {container.id} is not running")
        _now(engine, container, Status.PAUSED, "pause")
        if called_off:
            wake(engine, container)


def _check(container: Container) -> None:
    match container.state.status:
        case Status.RUNNING:
            return
        case Status.PAUSED:
            raise Conflict(f"Container {container.id} is already paused")
        case Status.RESTARTING:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        case _:
            raise Conflict(f"container {container.id} is not running")


async def unpause(engine: Engine, reference: str) -> None:
    """Let a paused container go on. Raises System where it is not paused: Docker answers that with 500."""
    container = engine.find(reference)
    async with container.lock:
        if container.state.status is not Status.PAUSED:
            raise System(f"Container {container.id} is not paused")
        try:
            engine.runtime.unpause(container.id)
        except KeyError as error:
            raise Conflict(f"container {container.id} is not running") from error
        except OSError as error:
            raise System(f"Cannot unpause container {container.id}: {error.strerror}") from error
        _now(engine, container, Status.RUNNING, "unpause")


def wake(engine: Engine, container: Container) -> None:
    """Let a container hear the signal that is to end it: where it is paused, or about to be, it goes on."""
    container.pausing = False
    if container.state.status is not Status.PAUSED:
        return
    try:
        engine.runtime.unpause(container.id)
    except KeyError:
        # It has ended, and its exit is on the way.
        return
    except OSError as error:
        _log.warning("Cannot unpause container %s: %s", container.id, error)
        return
    _now(engine, container, Status.RUNNING, "unpause")


def _now(engine: Engine, container: Container, status: Status, action: str) -> None:
    container.state = container.state.to(status)
    if status is Status.PAUSED:
        health.halt(engine, container)
    else:
        health.go_on(engine, container)
    # Not waited for: what a later daemon goes by is whether the kernel holds the processes.
    _ = engine.record(container)
    engine.event(container, action)
