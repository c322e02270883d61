"""The verbs whose times are told at `metrics-addr`, measured; a daemon without metrics does not load this."""

from collections.abc import Sequence

from sampan.daemon.containers_api import ContainersApi
from sampan.daemon.engine import Engine
from sampan.daemon.files_api import FilesApi
from sampan.daemon.metrics import Metrics
from sampan.daemon.workers import Workers
from sampan.images.images import Images
from sampan.spec import containers as c
from sampan.spec import requests as r
from sampan.spec.files import FilesystemChange


class MeasuredContainers(ContainersApi):
    """create, start and delete by the clock."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        super().__init__(engine)
        self._metrics = metrics

    async def create(
        self, request: c.CreateRequest, name: str, platform: str, caller: tuple[int, int] | None
    ) -> c.CreateResponse:
        """See the Protocol, here and below."""
        with self._metrics.timed("create"):
            return await super().create(request, name, platform, caller)

    async def start(self, name: str, options: r.StartOptions) -> None:
        """Start it."""
        with self._metrics.timed("start"):
            await super().start(name, options)

    async def remove(self, name: str, options: r.RemoveOptions) -> None:
        """Remove it."""
        with self._metrics.timed("delete"):
            await super().remove(name, options)


class MeasuredFiles(FilesApi):
    """changes and commit by the clock."""

    def __init__(self, engine: Engine, images: Images, workers: Workers, metrics: Metrics) -> None:
        super().__init__(engine, images, workers)
        self._metrics = metrics

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """What differs from the image."""
        with self._metrics.timed("changes"):
            return await super().changes(name)

    async def commit(self, options: r.CommitOptions, config: c.ContainerConfig | None) -> c.IdResponse:
        """An image of it."""
        with self._metrics.timed("commit"):
            return await super().commit(options, config)
