"""Kills for lack of memory, told while the container goes on: an event for each notice, and `OOMKilled` in its state."""

import asyncio
import logging
import signal
from dataclasses import replace

from sampan.cgroups.apply import oom_kills
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.runtime.request import Exit
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.daemon")
_GRACE = 0.2
"""Seconds after a start: a program that ends sooner is not worth being watched, its monitor counts at the end."""
_MOST_NAMES = 8
"""Those who were killed last are remembered for the cause of the end."""
_LOOKS = (0.0, 0.05, 0.2, 1.0, 4.0)
"""Seconds from one look at the count to the next: v1 gives notice before it chooses whom to kill, and counts when it has."""


def begin(engine: Engine, container: Container) -> None:
    """A container runs: watch it soon. Costs a start nothing but a timer."""
    container.oom_kills = 0
    container.victims = ()
    asyncio.get_running_loop().call_later(_GRACE, go_on, engine, container, container.state.started_ns)


def go_on(engine: Engine, container: Container, run: int) -> None:
    """Watch the run of a container that began at `run`, if it still goes on; tell what has happened until now."""
    if not container.state.alive or container.state.started_ns != run or engine.shutting_down:
        return
    try:
        engine.oom.add(container.id, engine.runtime.groups(container.id))
    except (KeyError, FileNotFoundError):
        # It has ended, and its exit is on the way.
        return
    except OSError as error:
        _log.warning("container %s: kills for lack of memory are told at its end: %s", container.id[:12], error)
        return
    # A notice may have been given before anybody listened.
    _look(engine, container, run)


def adopted(engine: Engine, container: Container) -> None:
    """A container that ran under an earlier daemon: what that one has told is not told again."""
    try:
        container.oom_kills = oom_kills(engine.runtime.groups(container.id)) if container.state.oom_killed else 0
    except KeyError:
        return
    go_on(engine, container, container.state.started_ns)


def heard(engine: Engine) -> None:
    """There are notices. Called by the event loop."""
    for name in engine.oom.take():
        container = engine.containers.get(ContainerId(name))
        if container is not None:
            _look(engine, container, container.state.started_ns)


def _look(engine: Engine, container: Container, run: int, turn: int = 0) -> None:
    """Tell what was counted since the last look, now and some more times."""
    if container.oom_timer is not None:
        container.oom_timer.cancel()
        container.oom_timer = None
    if not container.state.alive or container.state.started_ns != run or engine.shutting_down:
        return
    if turn + 1 < len(_LOOKS):
        later = asyncio.get_running_loop().call_later
        container.oom_timer = later(_LOOKS[turn + 1], _look, engine, container, run, turn + 1)
    try:
        kills = oom_kills(engine.runtime.groups(container.id))
    except KeyError:
        return
    if kills <= container.oom_kills:
        return
    container.oom_kills = kills
    if not container.state.oom_killed:
        container.state = container.state.marked(oom_killed=True)
        _ = engine.record(container)
    _tell(engine, container)


def _tell(engine: Engine, container: Container) -> None:
    """The event, with the names of those who were killed, where the kernel's log has them."""
    found = tuple(map(str, engine.oom.victims.take(container.id)))
    container.victims = (*container.victims, *found)[-_MOST_NAMES:]
    engine.event(container, "oom", {"victims": ", ".join(found)} if found else None)


def counted(engine: Engine, container: Container, exit_: Exit) -> Exit:
    """The end with the kills that its monitor came too late to count, because systemd had taken the empty group away.

    The daemon may have told some of them; the kernel's log knows of all (`victims`).
    """
    if exit_.oom_kills or not engine.around.systemd:
        return exit_
    kills = container.oom_kills + len(engine.oom.victims.known(container.id))
    if not kills:
        return exit_
    return replace(
        exit_,
        oom_killed=True,
        oom_kills=kills,
        oom_limit=max(0, container.definition.host.memory),
        cause="oom" if exit_.signal == signal.SIGKILL else exit_.cause,
    )


def ended(engine: Engine, container: Container, exit_: Exit) -> None:
    """The container has ended; what its monitor counted beyond what was told is told now."""
    engine.oom.remove(container.id)
    if container.oom_timer is not None:
        container.oom_timer.cancel()
        container.oom_timer = None
    if exit_.oom_kills > container.oom_kills:
        _tell(engine, container)
