"""Contexts that the daemon has from elsewhere: fetched in a thread, and called off with the build."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import time_ns
from typing import BinaryIO

from sampan.build.sources import Remote
from sampan.build.threads import Workers, carried_through
from sampan.build.tree.git import Access
from sampan.build.tree.remote import Watch
from sampan.build.tree.remote_context import (
    RemoteContext,
    checked_out,
    fetch_file,
    fetch_told_by_content,
    told_by_content,
)
from sampan.buildkit.needs import Fetch
from sampan.daemon.build_results import forget
from sampan.errors import SampanError
from sampan.images.images import Images
from sampan.images.steps import Cancellation, Cancelled, Step
from sampan.registry.protocol import Source
from sampan.spec.ids import Digest, ImageId


def watching(end: Cancellation) -> Watch:
    """What a download tells its progress to, so that it ends when it is called off."""

    def watch(done: int, whole: int) -> None:
        del done, whole
        end.check()

    return watch


async def fetched(workers: Workers, end: Cancellation, call: Callable[[], RemoteContext]) -> RemoteContext:
    """The context, from another thread. Called off, it is waited for, and what came is closed."""
    task = asyncio.get_running_loop().create_task(carried_through(workers.run(call)))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        end.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            task.result().context.close()
        raise


async def fetch(remote: Remote, workers: Workers, wish: Fetch, into: int) -> RemoteContext:
    """See `buildkit.needs.Builder.fetch`."""
    end = Cancellation()
    watch = watching(end)
    access = Access(remote.git, wish.agent, end, wish.authorization)

    def work() -> RemoteContext:
        if wish.git is not None:
            return RemoteContext(checked_out(wish.git, into, access))
        if wish.file:
            return RemoteContext(fetch_file(wish.url, wish.file, into, remote.fetcher, watch, wish.checksum))
        return fetch_told_by_content(wish.url, into, remote.fetcher, watch)

    return await fetched(workers, end, work)


async def unpacked(workers: Workers, content: BinaryIO, into: int) -> RemoteContext:
    """See `buildkit.needs.Builder.unpack`."""

    def work() -> RemoteContext:
        with content:
            return told_by_content(content, into, "the client")

    return await fetched(workers, Cancellation(), work)


@asynccontextmanager
async def brought(
    images: Images, workers: Workers, source: Source, digest: Digest, platform: str
) -> AsyncIterator[ImageId]:
    """See `buildkit.needs.Builder.brought`."""
    since, end = time_ns(), Cancellation()

    def unheard(step: Step) -> None:
        """The client knows its own files."""

    task = asyncio.get_running_loop().create_task(
        carried_through(workers.run(images.bring, source, digest, platform, unheard, end))
    )
    try:
        image = await asyncio.shield(task)
    except asyncio.CancelledError:
        end.cancel()
        with suppress(Cancelled, SampanError, OSError):
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await carried_through(workers.run(forget, images, task.result(), since))
        raise
    try:
        yield image
    finally:
        await carried_through(workers.run(forget, images, image, since))
