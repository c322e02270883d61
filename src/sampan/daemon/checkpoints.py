"""Checkpoints: the state of a running container written down by criu, to start it from later. For a daemon in experimental mode.

A checkpoint is made while the container's lock is held: nothing stops, pauses or removes it meanwhile.
"""

import asyncio
import os

from sampan.daemon import health, runtimes, verify
from sampan.daemon.checkpoint_store import CheckpointDirectory, check_name
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.states import Status
from sampan.errors import Conflict, Forbidden, InvalidParameter, NotImplementedHere, System
from sampan.runtime.request import Dump, DumpFailed
from sampan.spec.checkpoints import CheckpointCreateRequest
from sampan.spec.requests import WaitCondition

DISABLED = (
    "This experimental feature is disabled by default. "
    "Start the Docker daemon in experimental mode in order to enable it."
)
_CGROUPS = "/sys/fs/cgroup"
_EXIT_SECONDS = 30.0


def require_experimental(engine: Engine) -> None:
    """Raise NotImplementedHere, as Docker's routes do, where the daemon is not in experimental mode."""
    if not engine.config.experimental:
        raise NotImplementedHere(DISABLED)
    if engine.config.rootless:
        raise NotImplementedHere("checkpoints are not possible in rootless mode: criu needs the machine's own root")


async def create(engine: Engine, reference: str, request: CheckpointCreateRequest) -> None:
    """Dump a running container, which ends with it (exit code 137) or goes on. Raises Conflict, System; then it goes on."""
    require_experimental(engine)
    container = engine.find(reference)
    async with container.lock:
        _check(container)
        check_name(request.checkpoint_id)
        directory = _directory(engine, container, reference, request.checkpoint_dir)
        try:
            await engine.runtime.check_criu()
        except DumpFailed as error:
            raise System(f"Cannot checkpoint container {reference}: {error}") from error
        _refuse(engine, container)
        ended = container.wait(WaitCondition.NEXT_EXIT)
        container.stop_requested = request.exit
        health.halt(engine, container)
        try:
            await _dump(engine, container, directory, request, reference)
        except BaseException:
            container.stop_requested = False
            ended.cancel()
            raise
        finally:
            if container.state.alive and not container.stop_requested:
                health.go_on(engine, container)
        engine.event(container, "checkpoint")
        if request.exit:
            # A start from it may follow at once.
            await asyncio.wait([ended], timeout=_EXIT_SECONDS)
        ended.cancel()


async def _dump(
    engine: Engine,
    container: Container,
    directory: CheckpointDirectory,
    request: CheckpointCreateRequest,
    reference: str,
) -> None:
    name = request.checkpoint_id
    try:
        with directory.staged(name) as staging:
            dump = Dump(
                images=staging.images,
                parent=staging.parent,
                staging=staging.name,
                name=name,
                destinations=_external(container),
                leave_running=not request.exit,
            )
            await engine.runtime.dump(container.id, dump)
    except KeyError as error:
        raise Conflict(f"container {container.id} is not running") from error
    except DumpFailed as error:
        raise System(f"Cannot checkpoint container {reference}: {error}") from error


def _check(container: Container) -> None:
    status = container.state.status
    if status is Status.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause it before it is checkpointed")
    if status is not Status.RUNNING:
        raise Conflict(f"container {container.id} is not running")


def _refuse(engine: Engine, container: Container) -> None:
    """What no checkpoint can hold. Raises System with the reason, as criu's own refusals are."""
    host, config = container.definition.host, container.definition.config
    shared = {"pid": host.pid_mode, "ipc": host.ipc_mode, "network": host.network_mode}
    why = ""
    if runtimes.find(engine.config, host.runtime) is not None:
        why = f"it was made by the runtime {host.runtime}"
    elif config.tty:
        why = "it has a terminal"
    elif host.init or (host.init is None and engine.around.init):
        why = "the engine's own init (--init) stands in front of its program"
    elif host.pid_mode == "host":
        why = "it has no pid namespace of its own"
    elif not engine.around.cgroup_v2:
        why = "this host has control groups of version 1"
    elif container.definition.users is not None:
        why = "it has a user namespace of its own"
    elif engine.layers.driver == "fuse-overlayfs":
        why = "its root is served by a program (storage driver fuse-overlayfs)"
    for kind, mode in shared.items():
        if verify.joins(mode):
            why = f"it shares the {kind} namespace of another container"
    if why:
        raise System(f"container {container.name}: {why}, which checkpoints do not cover")


def _external(container: Container) -> tuple[str, ...]:
    """Where in a running container mounts from outside stand: see `aside_plan.external_places`."""
    definition = container.definition
    points = [point.destination for point in definition.mounts]
    own = [f"/etc/{name}" for name in ("hostname", "hosts", "resolv.conf")] if _has_files(container) else []
    shared = ["/dev/shm"] if definition.host.ipc_mode in ("host", "shareable") else []
    outside = [point.destination for point in definition.mounts if point.type != "tmpfs"]
    outside += [place for place in (*own, *shared, _CGROUPS) if place not in points]
    return tuple(outside)


def _has_files(container: Container) -> bool:
    return not container.definition.config.network_disabled


def _directory(engine: Engine, container: Container, reference: str, chosen: str) -> CheckpointDirectory:
    return CheckpointDirectory(f"{engine.directory(container.id)}/checkpoints", chosen, reference)


def names(engine: Engine, reference: str, chosen: str) -> list[str]:
    """A container's checkpoints. Raises System where a directory that was named is not there."""
    require_experimental(engine)
    container = engine.find(reference)
    return _directory(engine, container, reference, chosen).names()


async def remove(engine: Engine, reference: str, name: str, chosen: str) -> None:
    """Remove one of a container's checkpoints. Raises System where it is not there."""
    require_experimental(engine)
    container = engine.find(reference)
    directory = _directory(engine, container, reference, chosen)
    await asyncio.get_running_loop().run_in_executor(None, directory.remove, name)


def refuse_start(engine: Engine, checkpoint: str, directory: str) -> None:
    """What Docker says of a start's parameters. Raises InvalidParameter, Forbidden."""
    if checkpoint and not engine.config.experimental:
        raise InvalidParameter("checkpoint is only supported in experimental mode")
    if directory:
        raise Forbidden("custom checkpointdir is not supported")


async def images(engine: Engine, container: Container, name: str) -> int:
    """A descriptor of the images of a checkpoint, to start from; the caller closes it. Raises System."""
    found = _directory(engine, container, container.name, "").images(name)
    try:
        await engine.runtime.check_criu()
        _refuse(engine, container)
    except DumpFailed as error:
        os.close(found)
        raise System(f"Cannot restore container {container.name}: {error}") from error
    except BaseException:
        os.close(found)
        raise
    return found
