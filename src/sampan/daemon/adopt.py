"""Adoption: what a new daemon finds, set against what the records want, and made good."""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from sampan.daemon import health, oom, restart_policy, verify
from sampan.daemon.container import Container
from sampan.daemon.create import DEPTH, remove_directory
from sampan.daemon.definition import DEFINITIONS, ENDPOINTS, HEALTH, STATES, Definition, decode_definition, decode_state
from sampan.daemon.endpoints import decode_kept
from sampan.daemon.engine import Engine
from sampan.daemon.exits import adopt_exit, wait_for_restart, why
from sampan.daemon.remove import remove_locked
from sampan.daemon.start import start_locked
from sampan.daemon.states import State, Status
from sampan.errors import SampanError
from sampan.files.atomic import make_directory
from sampan.runtime.request import Adopted, Exit
from sampan.spec.ids import ContainerId
from sampan.spec.requests import RemoveOptions
from sampan.state.records import decoded

_log = logging.getLogger("sampan.daemon")
_AT_ONCE = 4
_CHILD_SECONDS = 5.0
"""For what a container is linked to, to run before it."""


def load(engine: Engine) -> None:
    """Read every container from the records. Called before anything is adopted. Raises BrokenRecord."""
    states, checked = engine.store.table(STATES), engine.store.table(HEALTH)
    for container_id, data in engine.store.table(DEFINITIONS).items():
        definition = decoded(DEFINITIONS, container_id, data, decode_definition)
        state = State()
        if container_id in states:
            state = decoded(STATES, container_id, states[container_id], decode_state)
        container = Container(definition, state)
        if container_id in checked:
            container.health = decoded(HEALTH, container_id, checked[container_id], health.decode)
        engine.containers.take_name(definition.name, definition.id)
        engine.containers.add(container)
        engine.linked.add(definition)
    for container_id, data in engine.store.table(ENDPOINTS).items():
        # Here, before the first of them is taken over.
        decoded(ENDPOINTS, container_id, data, decode_kept)


async def adopt(engine: Engine, found: tuple[Adopted, ...]) -> None:
    """Take over what runs; settle what has ended since; let go of what nobody knows."""
    known = {adopted.id: adopted for adopted in found}
    for adopted in found:
        container = engine.containers.get(adopted.id)
        if container is None:
            await _drop(engine, adopted)
        elif adopted.exit is None:
            await _take_over(engine, container, adopted)
        elif not container.state.alive:
            # Its exit was committed; only the monitor's record of it was not removed yet.
            engine.runtime.forget(adopted.id)
    engine.shm.sweep({container.id for container in engine.containers if container.state.alive})
    for container in engine.containers:
        if not container.state.alive:
            continue
        adopted_one = known.get(container.id)
        if adopted_one is None:
            # No record of its run: the machine went down with it, or its start never got so far.
            ended = Exit(code=255, ended_ns=container.state.started_ns, cause="machine-ended")
            _settle(engine, container, ended)
        elif adopted_one.exit is not None:
            _settle(engine, container, adopted_one.exit)
    for container in engine.containers:
        if container.state.alive:
            _join(engine, container)


def _join(engine: Engine, container: Container) -> None:
    try:
        engine.linked.join(container, engine.wiring)
    except OSError as error:
        _log.error("container %s: what it is linked to cannot be let through: %s", container.id[:12], error)


async def _drop(engine: Engine, adopted: Adopted) -> None:
    """A program of a container that is removed: its removal was committed, its end was not waited for."""
    if adopted.exit is None:
        _log.warning("container %s runs and is no longer known: killed", adopted.id[:12])
        await engine.runtime.kill_all(adopted.id)
    engine.runtime.forget(adopted.id)


async def _take_over(engine: Engine, container: Container, adopted: Adopted) -> None:
    definition = container.definition
    kept = engine.store.table(ENDPOINTS).get(container.id)
    if not container.state.alive or (kept is None and _needs_place(definition)):
        # Its start was never acknowledged: the record that it runs, and where, had not reached the disk. A restart that
        # was under way is made again.
        _log.warning("container %s runs without a record of its start: killed", container.id[:12])
        await engine.runtime.kill_all(container.id)
        engine.runtime.forget(container.id)
        return
    if kept is not None:
        engine.wiring.adopt(definition, kept)
    container.state = container.state.marked(
        pid=adopted.running.pid,
        started_ns=adopted.running.started_ns,
        status=Status.PAUSED if adopted.paused else Status.RUNNING,
    )
    if container.health is None:
        health.begin(engine, container)
    elif container.state.status is Status.RUNNING:
        health.go_on(engine, container)
    oom.adopted(engine, container)
    engine.volumes.adopt(container.id, adopted.running.monitor_pid)
    _log.info("container %s: adopted, pid %d", container.id[:12], adopted.running.pid)


def _needs_place(definition: Definition) -> bool:
    """Whether every start of the container gives it a place in some network."""
    return not verify.joins(definition.host.network_mode) and not definition.config.network_disabled


def _settle(engine: Engine, container: Container, ended: Exit) -> None:
    if kept := engine.store.table(ENDPOINTS).get(container.id):
        # Taken back only to be released: rules and ports of the old run go.
        engine.wiring.adopt(container.definition, kept)
    if ended.cause == "machine-ended":
        container.state = container.state.to(
            Status.EXITED,
            pid=0,
            exit_code=ended.code,
            finished_ns=ended.ended_ns,
            oom_killed=False,
            cause=why(container, ended, delay=None, found=True),
        )
        health.halt(engine, container)
        engine.wiring.release(container.id)
        _ = engine.record(container)
        engine.runtime.forget(container.id)
        return
    adopt_exit(engine, container, ended)


def ship(engine: Engine) -> None:
    """See to it that what containers have said goes on to where their drivers send it."""
    for container in engine.containers:
        state = container.state
        engine.shipping.adopt(container.definition, running=state.alive, ran=state.started_ns > 0)
    engine.shipping.sweep()


async def restore(engine: Engine) -> None:
    """Make directories again that a power cut took from containers whose records it left.

    The database's log is synced by fdatasync(2), which leaves directories that were just made to the file system where the log is
    overwritten in place. What was in them was synced by nobody, or they would be there.
    """
    there = set(engine.layers.writable())
    for container in engine.containers:
        definition = container.definition
        if container.state.running:
            continue
        try:
            if container.id not in there:
                size = verify.layer_size(definition.host, engine.layers.driver, bounded=engine.layers.bounded)
                await engine.layers.prepare(container.id, definition.image_id, size)
                _log.warning(
                    "container %s: its writable layer was lost with the machine: made again", container.id[:12]
                )
            make_directory(Path(engine.directory(container.id)), DEPTH)
        except (SampanError, OSError) as error:
            _log.error("container %s: its directories cannot be made again: %s", container.id[:12], error)


def sweep(engine: Engine) -> None:
    """Remove what half-made and half-removed containers left: layers and directories without a record, volumes without a name."""
    engine.volumes.sweep()
    for container_id in engine.layers.writable():
        if engine.containers.get(container_id) is None:
            _log.info("writable layer of %s belongs to no container: removed", container_id[:12])
            engine.layers.discard(container_id)
    directory = engine.config.data_root / "containers"
    for entry in directory.iterdir():
        if engine.containers.get(ContainerId(entry.name)) is None:
            remove_directory(engine, ContainerId(entry.name))


async def start_wanted(engine: Engine) -> None:
    """Start what its restart policy wants up, and remove what goes with its run; a few at a time, children of links first."""
    engine.ready.set()
    for container in engine.containers:
        if container.state.status is Status.RESTARTING and container.restart_task is None:
            wait_for_restart(engine, container, passed=time.time() - container.state.finished_ns / 1e9)
    limit = asyncio.Semaphore(_AT_ONCE)
    starts: dict[ContainerId, asyncio.Task[None]] = {}
    for container in engine.containers:
        if _is_wanted(container):
            starts[container.id] = asyncio.create_task(_start_wanted(engine, container, limit, starts))
    await asyncio.gather(*starts.values())


async def _start_wanted(
    engine: Engine, container: Container, limit: asyncio.Semaphore, starts: Mapping[ContainerId, "asyncio.Task[None]"]
) -> None:
    # Bounded: two containers may be linked to each other.
    if children := [starts[link.child] for link in container.definition.links if link.child in starts]:
        await asyncio.wait(children, timeout=_CHILD_SECONDS)
    try:
        async with limit, container.lock:
            if engine.shutting_down or container.state.running or container.removing:
                return
            host = container.definition.host
            if host.auto_remove and container.state.started_ns:
                await remove_locked(engine, container, RemoveOptions(force=True, volumes=True))
                return
            await start_locked(engine, container, explain=False, restarts=0)
    except SampanError as error:
        _log.error("container %s: %s", container.id[:12], error)


def _is_wanted(container: Container) -> bool:
    state, host = container.state, container.definition.host
    if state.running:
        return False
    if host.auto_remove:
        return state.started_ns > 0
    policy = host.restart_policy
    return state.started_ns > 0 and restart_policy.starts_with_daemon(
        policy.name,
        policy.maximum_retry_count,
        exit_code=state.exit_code,
        restarts=state.restarts,
        asked_to_stop=state.asked_to_stop,
    )
