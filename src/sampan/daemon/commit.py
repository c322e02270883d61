"""Commit: what a container changed becomes an image, and the container goes on as it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from sampan.daemon import merge
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.pause import pause, unpause
from sampan.daemon.states import Status
from sampan.daemon.workers import Workers
from sampan.errors import Conflict, Forbidden, SampanError
from sampan.images.changes import apply_changes
from sampan.images.committing import CommitWish
from sampan.images.images import Images
from sampan.spec.containers import ContainerConfig
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import ImageConfig
from sampan.spec.requests import CommitOptions

T = TypeVar("T")


async def commit(
    engine: Engine, images: Images, workers: Workers, options: CommitOptions, config: ContainerConfig | None
) -> ImageId:
    """Make an image of a container. Raises Conflict where it is being removed, InvalidParameter for names and changes.

    `config` says what the image is to be like; where it is silent, the container's own settings count. Raises Forbidden for a
    container of the image `host`: overlayfs takes no layer between the machine's own root and a container on the same disk.
    """
    container = engine.find(options.container)
    _check(container)
    definition = container.definition
    if definition.image_id is not None and engine.layers.stands_on_host(definition.image_id):
        raise Forbidden(
            f"container {options.container} stands on the image host, which is this machine itself: "
            "no image can be made on top of it"
        )
    wish = CommitWish(
        parent=definition.image_id,
        config=_configuration(config or ContainerConfig(), options.changes, definition.config),
        author=options.author,
        comment=options.comment,
        container=container.id,
        created_by=" ".join(definition.config.cmd or ()),
    )
    loop = asyncio.get_running_loop()
    captured = asyncio.Event()

    def told() -> None:
        loop.call_soon_threadsafe(captured.set)

    def work() -> tuple[ImageId, str]:
        try:
            return images.commit(
                engine.layers.difference(container.id),
                wish,
                options.repository,
                options.tag,
                told,
            )
        finally:
            told()

    async with _at_rest(engine, container, pausing=options.pause):
        # With the lock nobody removes what is being read.
        async with container.lock:
            _check(container)
            done = loop.create_task(workers.run(work))
            # What comes after the reading takes longer, and the container need not wait for it.
            await captured.wait()
    image, name = await done
    engine.event(container, "commit", {"comment": options.comment, "imageID": image, "imageRef": name})
    return image


def _check(container: Container) -> None:
    if container.state.status is Status.DEAD:
        raise Conflict(f"You cannot commit container {container.id} which is Dead")
    if container.removing:
        raise Conflict(f"You cannot commit container {container.id} which is being removed")


@asynccontextmanager
async def _at_rest(engine: Engine, container: Container, *, pausing: bool) -> AsyncIterator[None]:
    """The container paused for as long as the block runs, where that was asked for and it runs."""
    paused = False
    if pausing and container.state.status is Status.RUNNING:
        try:
            await pause(engine, container.id)
            paused = True
        except SampanError:
            # As in Docker: it has ended, or cannot be frozen, and is committed all the same.
            paused = False
    try:
        yield
    finally:
        if paused and container.state.status is Status.PAUSED:
            await unpause(engine, container.id)


def _configuration(asked: ContainerConfig, changes: tuple[str, ...], own: ContainerConfig) -> ImageConfig:
    changed = apply_changes(_convert(asked, ImageConfig), changes)
    return _convert(merge.over(_convert(changed, ContainerConfig), own), ImageConfig)


def _convert(config: msgspec.Struct, to: type[T]) -> T:
    """The same members under the same names; what the other kind does not have is left out."""
    return msgspec.convert(msgspec.to_builtins(config), to)
