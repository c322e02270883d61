"""Files in containers as the API calls them: `files`, its answers as API bodies."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Sequence

from sampan.daemon import files
from sampan.daemon.commit import commit
from sampan.daemon.engine import Engine
from sampan.daemon.times import rfc3339
from sampan.daemon.workers import Workers
from sampan.images.images import Images
from sampan.spec.containers import ContainerConfig, IdResponse
from sampan.spec.files import ContainerMount, FilesystemChange, PathArchive, go_mode
from sampan.spec.requests import CommitOptions, ExtractOptions
from sampan.transfer.porter import PathStat


class FilesApi:
    """Implements `api.backend.ContainerFiles`."""

    def __init__(self, engine: Engine, images: Images, workers: Workers) -> None:
        self._engine = engine
        self._images = images
        self._workers = workers

    async def stat(self, name: str, path: str) -> str:
        """See the Protocol, here and below."""
        return _header(await files.stat_path(self._engine, name, path))

    async def mount(self, name: str) -> ContainerMount:
        """Let root on the host see it."""
        container = self._engine.find(name)
        place = await self._engine.looks.begin(self._engine.layers, container)
        return ContainerMount(id=container.id, path=place)

    async def umount(self, name: str) -> None:
        """Take that back."""
        await self._engine.looks.end(self._engine.find(name).id)

    def mounted(self) -> Sequence[ContainerMount]:
        """Where whose is to be seen."""
        found = ((one.id, self._engine.looks.place(one)) for one in self._engine.containers)
        return [ContainerMount(id=container, path=place) for container, place in found if place]

    async def read(self, name: str, path: str) -> PathArchive:
        """A tar of it."""
        found = await files.archive(self._engine, name, path)
        return PathArchive(_header(found.stat), found.pieces)

    async def write(self, name: str, options: ExtractOptions, content: AsyncIterator[bytes]) -> None:
        """Unpack a tar into it."""
        await files.extract(self._engine, self._workers, name, options, content)

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """What differs from the image."""
        found = await self._engine.layers.changes(self._engine.find(name).id)
        return [FilesystemChange(path=_text(os.fsdecode(change.path)), kind=change.kind) for change in found]

    async def commit(self, options: CommitOptions, config: ContainerConfig | None) -> IdResponse:
        """An image of it."""
        work = commit(self._engine, self._images, self._workers, options, config)
        return IdResponse(id=await asyncio.shield(asyncio.get_running_loop().create_task(work)))

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of the whole root."""
        return await files.export(self._engine, name)


def _header(stat: PathStat) -> str:
    """X-Docker-Container-Path-Stat. Not by msgspec: names may hold bytes that are no text, which Go replaces."""
    told = {
        "name": _text(stat.name),
        "size": stat.size,
        "mode": go_mode(stat.mode),
        "mtime": rfc3339(stat.mtime_ns) if stat.mtime_ns else "1970-01-01T00:00:00Z",
        "linkTarget": _text(stat.target),
    }
    return base64.b64encode(json.dumps(told, ensure_ascii=False).encode()).decode()


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
