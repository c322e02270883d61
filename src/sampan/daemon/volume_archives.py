"""`volume export` and `volume import`: a volume's files as a tar, by a porter that has the volume as its root."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from sampan.daemon.files import feed, uncompressed
from sampan.daemon.needs import VolumeStore
from sampan.daemon.workers import Workers
from sampan.errors import System, host_words
from sampan.kernel.mount import AT_FDCWD, OpenTree, open_tree
from sampan.kernel.sync import syncfs
from sampan.transfer import orders
from sampan.transfer.porter import Porter, View


async def export(volumes: VolumeStore, name: str) -> AsyncIterator[bytes]:
    """A tar of the volume's files; what is wrong is raised before the first piece. Raises NotFound, System."""
    pieces = _pieces(volumes, name)
    first = await anext(pieces)
    return _with(first, pieces)


async def _pieces(volumes: VolumeStore, name: str) -> AsyncIterator[bytes]:
    async with _porter(volumes, name, orders.EXPORT) as porter:
        async for piece in porter.archive():
            yield piece


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(rest):  # type: ignore[type-var]  # an async generator, seen as what it yields
        yield first
        async for piece in rest:
            yield piece


async def unpack(volumes: VolumeStore, workers: Workers, name: str, content: AsyncIterator[bytes]) -> None:
    """Unpack a tar, compressed or not, over what the volume holds, durably. What was unpacked before a fault stays.

    Raises NotFound, InvalidParameter for the archive, System.
    """
    async with _porter(volumes, name, orders.WRITE) as porter:
        await feed(porter, uncompressed(workers, content))
        await porter.outcome()
    volume = volumes.get(name)
    if not volume.mounted:
        await workers.run(_sync, volume.mountpoint)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncfs(descriptor)
    except OSError as error:
        raise System(f"{path}: {host_words(error)}") from error
    finally:
        os.close(descriptor)


@asynccontextmanager
async def _porter(volumes: VolumeStore, name: str, act: str) -> AsyncIterator[Porter]:
    user = f"archive-{os.urandom(6).hex()}"
    volume = volumes.get(name)
    letters = await volumes.hold(user, [name])
    try:
        for letter in letters:
            letter.close()
        if volume.mounted:
            tree = volumes.tree(name, "", OpenTree.CLONE)
        else:
            tree = open_tree(AT_FDCWD, os.fsencode(volume.mountpoint), OpenTree.CLONE)
        porter = Porter(act, View(False, (tree,)), "/")
    except OSError as error:
        raise System(f"cannot look into volume {name}: {error.strerror}") from error
    finally:
        # A copy of the mount keeps what is mounted.
        volumes.let_go(user)
    try:
        yield porter
    finally:
        await asyncio.shield(porter.close())
