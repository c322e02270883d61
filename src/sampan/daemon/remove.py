"""Remove: a container's records go first, durably; then its files, which nobody would miss after a crash."""

import asyncio

import msgspec

from sampan.crashpoints import crash_point
from sampan.daemon import etc
from sampan.daemon.container import Container
from sampan.daemon.create import remove_directory
from sampan.daemon.definition import DEFINITIONS, ENDPOINTS, HEALTH, STATES, encode
from sampan.daemon.engine import Engine
from sampan.daemon.kill import kill_and_wait
from sampan.daemon.states import Status
from sampan.errors import Conflict, SampanError, System
from sampan.spec.requests import RemoveOptions
from sampan.state.store import Delete, Put

_READER_TRIES = 200
_READER_PAUSE = 0.05


async def remove(engine: Engine, reference: str, options: RemoveOptions) -> None:
    """Remove a container. Raises Conflict where it runs (without force) or is being removed already."""
    if options.link:
        await _remove_link(engine, reference)
        return
    container = engine.find(reference)
    if container.removing:
        raise Conflict(f"removal of container {reference} is already in progress")
    _refuse_running(container, reference, options)
    container.removing = True
    crash_point("remove-after-mark")
    try:
        while engine.containers.get(container.id) is not None:
            if container.state.running:
                _refuse_running(container, reference, options)
                await kill_and_wait(engine, container, "remove")
            async with container.lock:
                # A start that was under way may have come in between: then once more.
                if not container.state.running and engine.containers.get(container.id) is not None:
                    await remove_locked(engine, container, options)
    except BaseException:
        container.removing = False
        raise


async def _remove_link(engine: Engine, reference: str) -> None:
    """Take a link from the container that has it. Raises NotFound, System in Docker's words."""
    if "/" not in reference[1:]:
        engine.find(reference)
        raise System("Conflict, cannot remove the default link name of the container")
    parent, link = engine.linked.find(reference)
    async with parent.lock:
        kept = tuple(one for one in parent.definition.links if one != link)
        changed = msgspec.structs.replace(parent.definition, links=kept)
        await engine.commit([Put(DEFINITIONS, parent.id, encode(changed))])
        engine.linked.discard(parent.definition)
        parent.definition = changed
        engine.linked.add(changed)
    etc.forget_link(engine, parent, link.alias)
    if not any(one.child == link.child for one in parent.definition.links):
        engine.wiring.unlink(parent.id, link.child)


def _refuse_running(container: Container, reference: str, options: RemoveOptions) -> None:
    if not container.state.running or options.force:
        return
    why = f"container is {container.state.status}: stop the container before removing or force remove"
    if container.state.status is Status.PAUSED:
        why = "container is paused and must be unpaused first"
    raise Conflict(f'cannot remove container "{reference}": {why}')


async def remove_locked(engine: Engine, container: Container, options: RemoveOptions) -> None:
    """`remove` for a caller that holds the lock of a container that does not run."""
    container.removing = True
    container.drop_clients()
    await engine.transfers.end(container.id)
    await engine.looks.end(container.id)
    anonymous = [point.name for point in container.definition.mounts if point.type == "volume" and point.anonymous]
    going = engine.volumes.going(anonymous, container.id) if options.volumes and anonymous else ()
    crash_point("remove-before-commit")
    try:
        await engine.commit([*(Delete(table, container.id) for table in _tables(container)), *going])
    except SampanError as error:
        container.removing = False
        container.tell_removed(str(error))
        raise
    crash_point("remove-after-commit")
    engine.containers.remove(container)
    engine.linked.discard(container.definition)
    engine.runtime.forget(container.id)
    engine.execs.forget_container(container.id)
    engine.transfers.forget(container.id)
    engine.layers.discard(container.id)
    if container.log_readers or engine.shipping.is_due(container.id):
        _ = engine.spawn(_remove_when_read(engine, container), f"removal of the log of {container.id[:12]}")
    else:
        engine.shipping.forget(container.id)
        remove_directory(engine, container.id)
    for point in container.definition.mounts:
        if point.type == "volume":
            await _let_go(engine, point.name, anonymous=point.anonymous and options.volumes)
    container.tell_removed()
    engine.event(container, "destroy")


def _tables(container: Container) -> tuple[str, ...]:
    return (DEFINITIONS, STATES, ENDPOINTS, HEALTH) if container.health else (DEFINITIONS, STATES, ENDPOINTS)


async def _remove_when_read(engine: Engine, container: Container) -> None:
    """The container's files go when its log has been read and sent, or after a while: a client or a collector may be slow."""
    await engine.shipping.settle(container.id)
    for _ in range(_READER_TRIES):
        if not container.log_readers:
            break
        await asyncio.sleep(_READER_PAUSE)
    remove_directory(engine, container.id)


async def _let_go(engine: Engine, volume: str, *, anonymous: bool) -> None:
    if anonymous:
        await engine.volumes.remove_anonymous(volume)
