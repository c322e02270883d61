"""Kill: a signal for a container's program; SIGKILL waits for the end."""

import asyncio
import signal

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.pause import wake
from sampan.daemon.signals import parse_signal
from sampan.daemon.states import Status
from sampan.errors import Conflict, System
from sampan.spec.requests import WaitCondition

_KILL_SECONDS = 10.0
_LAST_SECONDS = 2.0


async def kill(engine: Engine, reference: str, name: str) -> None:
    """Send a signal by name or number; "" is SIGKILL. Raises InvalidParameter, Conflict where nothing runs."""
    number = parse_signal(name) if name else signal.SIGKILL
    container = engine.find(reference)
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")
    if number == signal.SIGKILL:
        await kill_and_wait(engine, container)
    else:
        send(engine, container, number)


def send(engine: Engine, container: Container, number: int) -> None:
    """One signal, and its event. The program's own stop signal and SIGKILL count as a wish that it stays down.

    Where a container names no stop signal, any one does. Such a signal ends a pause, too: else it would not be heard.
    """
    asked = container.definition.config.stop_signal
    is_wish = not asked or number == signal.SIGKILL or parse_signal(asked) == number
    if is_wish:
        mark_stopped(engine, container)
    if container.state.status is Status.RESTARTING:
        # Nothing runs between two runs: the restart that waits is called off.
        _call_off(engine, container)
        return
    try:
        engine.runtime.signal(container.id, int(number))
    except (KeyError, ProcessLookupError):
        # It has ended, and its exit is on the way.
        return
    engine.event(container, "kill", {"signal": str(int(number))})
    if is_wish:
        wake(engine, container)


def mark_stopped(engine: Engine, container: Container) -> None:
    """Note that somebody wants the container to stay down, unless that is only the daemon's own end."""
    container.stop_requested = True
    if not engine.shutting_down and not container.state.asked_to_stop:
        container.state = container.state.marked(asked_to_stop=True)
        if container.definition.host.restart_policy.name not in ("", "no"):
            engine.record(container)


def _call_off(engine: Engine, container: Container) -> None:
    if container.restart_task is not None:
        container.restart_task.cancel()
        container.restart_task = None
    container.state = container.state.to(Status.EXITED)
    engine.record(container)
    container.tell_exit()


async def kill_and_wait(engine: Engine, container: Container) -> None:
    """SIGKILL, and everything else in the container's control groups too if the program's end is not the container's."""
    ended = container.wait(WaitCondition.NOT_RUNNING)
    send(engine, container, signal.SIGKILL)
    try:
        await asyncio.wait_for(asyncio.shield(ended), _KILL_SECONDS)
        return
    except TimeoutError:
        await engine.runtime.kill_all(container.id)
    try:
        await asyncio.wait_for(ended, _LAST_SECONDS)
    except TimeoutError as error:
        raise System("tried to kill container, but did not receive an exit event") from error
