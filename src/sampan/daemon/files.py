"""`docker cp` and `docker export`: files out of and into containers, whether they run, are paused or stand still."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.file_view import porter_in
from sampan.daemon.piping import Passing
from sampan.daemon.workers import Workers
from sampan.errors import Forbidden, NotFound
from sampan.files.compression import decompressed, is_compressed
from sampan.spec.requests import ExtractOptions
from sampan.transfer import orders
from sampan.transfer.porter import PathMissing, PathStat, Porter, write

_SNIFFED = 6
_PIECE = 1 << 20


async def stat_path(engine: Engine, reference: str, path: str) -> PathStat:
    """What stands at a path. Raises NotFound in Docker's words."""
    container = engine.find(reference)
    try:
        async with porter_in(engine, container, orders.STAT, path) as porter:
            return await porter.stat()
    except PathMissing as error:
        raise _missing(reference, path) from error


class Archive:
    """A tar of what stands at a path; `stat` tells what that is. `pieces` has to be stepped through or closed."""

    def __init__(self, stat: PathStat, pieces: AsyncIterator[bytes]) -> None:
        self.stat = stat
        self.pieces = pieces


async def archive(engine: Engine, reference: str, path: str) -> Archive:
    """Begin to read a path. What is wrong with it is raised here, before the first byte."""
    container = engine.find(reference)
    pieces = _archive(engine, container, path)
    try:
        stat = await anext(pieces)
    except PathMissing as error:
        raise _missing(reference, path) from error
    assert isinstance(stat, PathStat)
    engine.event(container, "archive-path")
    return Archive(stat, _bytes(pieces))


async def _archive(engine: Engine, container: Container, path: str) -> AsyncIterator[PathStat | bytes]:
    """First what stands there, then the tar. The porter lives as long as this is stepped through."""
    async with porter_in(engine, container, orders.READ, path) as porter:
        yield await porter.stat()
        async for piece in porter.archive():
            yield piece


async def _bytes(pieces: AsyncIterator[PathStat | bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):  # type: ignore[type-var]  # an async generator, seen as what it yields
        async for piece in pieces:
            assert isinstance(piece, bytes)
            yield piece


async def extract(
    engine: Engine, workers: Workers, reference: str, options: ExtractOptions, content: AsyncIterator[bytes]
) -> None:
    """Unpack a tar, compressed or not, into a directory of the container.

    Raises NotFound, InvalidParameter in Docker's words. What was unpacked before a fault stays.
    """
    container = engine.find(reference)
    user = container.definition.config.user if options.copy_ids else ""
    try:
        async with porter_in(
            engine, container, orders.WRITE, options.path, keep_kinds=options.keep_kinds, user=user
        ) as porter:
            await feed(porter, uncompressed(workers, content))
            await porter.outcome()
    except PathMissing as error:
        raise _missing(reference, options.path) from error
    engine.event(container, "extract-to-dir")


async def feed(porter: Porter, content: AsyncIterator[bytes]) -> None:
    """Pass the archive on; what the porter does not want to read any more, it says why of."""
    async with aclosing(content):  # type: ignore[type-var]  # an async generator, seen as what it yields
        async for piece in content:
            if not await write(porter.pipe, piece):
                break
    porter.close_pipe()


async def uncompressed(workers: Workers, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The archive's own bytes. Decompression is done here, by libraries that are loaded: never by a program found inside."""
    first = b""
    async for piece in content:
        first += piece
        if len(first) >= _SNIFFED:
            break
    if not is_compressed(first):
        yield first
        async for piece in content:
            yield piece
        return
    async with Passing(_chained(first, content)) as passing:
        async for piece in workers.iterate(lambda: iter(partial(decompressed(passing.file).read, _PIECE), b"")):
            yield piece


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def export(engine: Engine, reference: str) -> AsyncIterator[bytes]:
    """A tar of the container's root, without what is mounted in it. What is wrong is raised before the first byte.

    Raises Forbidden for what stands on the image host.
    """
    container = engine.find(reference)
    image = container.definition.image_id
    if image is not None and engine.layers.stands_on_host(image):
        raise Forbidden(
            f"container {reference} stands on the image host, which is this machine itself and cannot leave it"
        )
    pieces = _export(engine, container)
    first = await anext(pieces)
    engine.event(container, "export")
    return _chained(first, pieces)


async def _export(engine: Engine, container: Container) -> AsyncIterator[bytes]:
    async with porter_in(engine, container, orders.EXPORT) as porter:
        async for piece in porter.archive():
            yield piece


def _missing(reference: str, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {reference}")
