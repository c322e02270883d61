"""How a porter comes to see a container's file system: the mounts of one that runs, or the root of one that does not."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sampan.daemon import mounts
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.states import Status
from sampan.errors import HOST_TROUBLE, Conflict, SampanError, System, host_words
from sampan.runtime.sources import Roots, close_all, open_binds
from sampan.runtime.start_failure import StartFailed
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ImageId
from sampan.spec.requests import WaitCondition
from sampan.transfer.porter import Porter, View

_FILES = ("hostname", "hosts", "resolv.conf")
_ENDING_SECONDS = 10.0


@asynccontextmanager
async def porter_in(
    engine: Engine, container: Container, act: str, path: str = "", *, keep_kinds: bool = False, user: str = ""
) -> AsyncIterator[Porter]:
    """A porter at work in the container for as long as the block runs; a start of the container waits for it."""
    async with container.lock:
        if container.removing or container.state.status in (Status.REMOVING, Status.DEAD):
            raise Conflict(f"container {container.id} is marked for removal")
        view = await _view(engine, container)
        try:
            porter = Porter(act, view, path, keep_kinds=keep_kinds, user=user)
        except OSError as error:
            raise System(f"cannot look into container {container.id[:12]}: {error.strerror}") from error
        engine.transfers.begin(container.id, porter)
    try:
        yield porter
    finally:
        await asyncio.shield(engine.transfers.finish(container.id, porter))


async def _view(engine: Engine, container: Container) -> View:
    if container.state.alive:
        namespaces = _namespaces(engine, container)
        if namespaces:
            return View(True, namespaces)
        # It has ended a moment ago, and the word of it is on the way.
        try:
            await asyncio.wait_for(container.wait(WaitCondition.NOT_RUNNING), _ENDING_SECONDS)
        except TimeoutError as error:
            raise Conflict(f"container {container.id} is about to end") from error
    if engine.transfers.busy(container.id):
        # Another porter has the writable layer mounted, and there is one owner for it.
        await engine.transfers.settle(container.id)
    return await _at_rest(engine, container)


def _namespaces(engine: Engine, container: Container) -> tuple[int, ...]:
    """The mount namespace of a container that runs, and its user namespace where it has one; none where it runs no longer."""
    opened: list[int] = []
    try:
        for name in ("mnt", "user") if container.definition.users is not None else ("mnt",):
            opened.append(os.open(f"/proc/{container.state.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - what is open gets closed
        # By pidfd: while that process lives, its number means nobody else.
        engine.runtime.signal(container.id, 0)
    except (OSError, KeyError) as error:
        close_all(opened)
        if isinstance(error, OSError) and error.errno in HOST_TROUBLE:
            raise System(f"cannot look into container {container.id[:12]}: {host_words(error)}") from error
        return ()
    return tuple(opened)


async def _at_rest(engine: Engine, container: Container) -> View:
    definition = container.definition
    binds = [mount for mount in _mounts(engine, container) if mount.type == "bind"]
    opened: list[int] = []
    user = f"view of {container.id}"
    try:
        await engine.runtime.let_go(container.id)
        opened.append(await engine.layers.mounted(container.id))
        # What is held only until it is opened: a descriptor keeps the mount that it was copied from.
        for letter in await engine.volumes.hold(user, mounts.volume_names(definition.mounts)):
            letter.close()
        opened += open_binds(binds, Roots(lambda image: engine.layers.view(ImageId(image)), engine.volumes.tree))
    except (OSError, StartFailed, SampanError) as error:
        for descriptor in opened:
            os.close(descriptor)
        if isinstance(error, SampanError):  # an image that is mounted and was removed
            raise
        raise System(f"cannot look into container {container.id[:12]}: {error}") from error
    finally:
        engine.volumes.let_go(user)
    places = tuple(mount.destination for mount in binds)
    return View(False, tuple(opened), places, readonly=definition.host.readonly_rootfs)


def _mounts(engine: Engine, container: Container) -> tuple[oci.Mount, ...]:
    """Volumes and binds, and those files under /etc that an earlier start has written."""
    directory = engine.directory(container.id)
    files = {f"/etc/{name}": f"{directory}/{name}" for name in _FILES if os.path.exists(f"{directory}/{name}")}
    return mounts.at_start(container.definition.mounts, engine.volumes, files, readonly=False)
