"""Kill: a signal for a container's program; SIGKILL waits for the end."""

import asyncio
import signal
import time

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.exit_cause import signal_name
from sampan.daemon.pause import wake
from sampan.daemon.signals import parse_signal
from sampan.daemon.states import Status
from sampan.daemon.times import rfc3339
from sampan.errors import Conflict, System
from sampan.spec.containers import ExitRequest
from sampan.spec.requests import WaitCondition

_KILL_SECONDS = 10.0
_LAST_SECONDS = 2.0


async def kill(engine: Engine, reference: str, name: str) -> None:
    """Send a signal by name or number; "" is SIGKILL. Raises InvalidParameter, Conflict where nothing runs."""
    number = parse_signal(name) if name else signal.SIGKILL
    container = engine.find(reference)
    await restarted(container)
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")
    if number == signal.SIGKILL:
        await kill_and_wait(engine, container)
    else:
        send(engine, container, number)
    await wish_is_durable(container)


def send(engine: Engine, container: Container, number: int, verb: str = "kill") -> None:
    """One signal, for the sake of `verb`, and its event.

    The program's own stop signal and SIGKILL count as a wish that it stays down. So does any signal where the container names
    none. Such a signal ends a pause, else it would not be heard; between two runs it calls the restart off, and no other signal
    has an effect.
    """
    asked = container.definition.config.stop_signal
    stays_down = not asked or number == signal.SIGKILL or parse_signal(asked) == number
    mark_asked(engine, container, stays_down=stays_down)
    container.asked = ExitRequest(verb=verb, signal=signal_name(number), at=rfc3339(time.time_ns()))
    if container.state.status is Status.RESTARTING:
        if container.stop_requested:
            _call_off(engine, container)
        return
    try:
        engine.runtime.signal(container.id, int(number))
    except (KeyError, ProcessLookupError):
        # It has ended, and its exit is on the way.
        return
    engine.event(container, "kill", {"signal": str(int(number))})
    if stays_down:
        wake(engine, container)


async def restarted(container: Container) -> None:
    """Let a restart that is under way come to its end: then there is a program to signal, or none."""
    if container.starting and container.state.status is Status.RESTARTING:
        async with container.lock:
            pass


def mark_asked(engine: Engine, container: Container, *, stays_down: bool) -> None:
    """Note that somebody sent a signal, and whether no policy may follow; not where that is only the daemon's own end."""
    container.stop_requested = container.stop_requested or stays_down
    if not engine.shutting_down and not container.state.asked_to_stop:
        container.state = container.state.marked(asked_to_stop=True)
        if container.definition.host.restart_policy.name not in ("", "no"):
            container.wish = engine.record(container)


async def wish_is_durable(container: Container) -> None:
    """Whoever was told that a container is stopped finds it so after a crash, too. Raises System on a full disk."""
    wish, container.wish = container.wish, None
    if wish is not None:
        await asyncio.wrap_future(wish)


def _call_off(engine: Engine, container: Container) -> None:
    if container.restart_task is not None:
        container.restart_task.cancel()
        container.restart_task = None
    container.state = container.state.to(Status.EXITED)
    engine.record(container)
    container.tell_exit()


async def kill_and_wait(engine: Engine, container: Container, verb: str = "kill") -> None:
    """SIGKILL for `verb`, and everything else in the container's control groups too if the program's end is not the container's."""
    await restarted(container)
    ended = container.wait(WaitCondition.NOT_RUNNING)
    send(engine, container, signal.SIGKILL, verb)
    try:
        await asyncio.wait_for(asyncio.shield(ended), _KILL_SECONDS)
        return
    except TimeoutError:
        await engine.runtime.kill_all(container.id)
    try:
        await asyncio.wait_for(ended, _LAST_SECONDS)
    except TimeoutError as error:
        raise System("tried to kill container, but did not receive an exit event") from error
