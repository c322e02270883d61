"""Stop and restart: the stop signal, time to obey it, then force."""

import asyncio

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.kill import kill_and_wait, mark_asked, restarted, send, wish_is_durable
from sampan.daemon.signals import parse_signal
from sampan.daemon.start import start_locked
from sampan.errors import Conflict, NotModified, System
from sampan.spec.requests import WaitCondition

_DEFAULT_SIGNAL = "TERM"


async def stop(engine: Engine, reference: str, signal_name: str, timeout: int | None) -> None:
    """Stop a container. Raises NotModified where it does not run, InvalidParameter for a signal that is none."""
    container = engine.find(reference)
    if not container.state.running:
        raise NotModified("container is already stopped")
    await stop_container(engine, container, signal_name, timeout)
    await wish_is_durable(container)


async def stop_container(
    engine: Engine, container: Container, signal_name: str = "", timeout: int | None = None, verb: str = "stop"
) -> None:
    """The same for a container at hand, for the sake of `verb`. `timeout` in seconds, negative for no end of patience."""
    await restarted(container)
    if not container.state.running:
        return
    config = container.definition.config
    number = parse_signal(signal_name or config.stop_signal or _DEFAULT_SIGNAL)
    patience = timeout if timeout is not None else config.stop_timeout
    if patience is None:
        patience = engine.config.stop_timeout
    ended = container.wait(WaitCondition.NOT_RUNNING)
    # Whatever signal is used, a stop is a wish that it stays down.
    mark_asked(engine, container, stays_down=True)
    send(engine, container, number, verb)
    try:
        await asyncio.wait_for(asyncio.shield(ended), None if patience < 0 else patience)
    except TimeoutError:
        await kill_and_wait(engine, container, verb)
    engine.event(container, "stop")


async def restart(engine: Engine, reference: str, signal_name: str, timeout: int | None) -> None:
    """Stop where it runs, then start. An auto-removed container stays for its next run."""
    container = engine.find(reference)
    if container.removing:
        raise Conflict("container is marked for removal and cannot be started")
    container.restarting_by_hand = True
    try:
        await stop_container(engine, container, signal_name, timeout, "restart")
        async with container.lock:
            if container.state.running:
                raise System(f"Cannot restart container {reference}: it was started meanwhile")
            await start_locked(engine, container, explain=False, restarts=0)
    finally:
        container.restarting_by_hand = False
    engine.event(container, "restart")
