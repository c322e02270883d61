"""Building as the API calls it. What builds is loaded with the first build: a daemon that builds nothing does without."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from sampan.daemon import memory_files
from sampan.daemon.build_cache import BuildCacheApi
from sampan.daemon.engine import Engine
from sampan.daemon.workers import Workers
from sampan.images.images import Images
from sampan.registry.fetching import Fetcher
from sampan.registry.protocol import Repositories
from sampan.registry.settings import Settings
from sampan.runtime.port import Runtime
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.builds import BuildOptions

if TYPE_CHECKING:
    from sampan.daemon.builds import Site


_PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where git is looked for."""


class BuildsApi:
    """Implements `api.backend.Builds`."""

    def __init__(
        self,
        engine: Engine,
        images: Images,
        snapshots: Snapshotter,
        cache: BuildCacheApi,
        runtime: Runtime,
        fetcher: Fetcher,
        settings: Callable[[], Settings],
        repositories: Repositories,
    ) -> None:
        """`settings`: those of the registries, whose proxies git uses, too."""
        self._repositories = repositories
        self._engine = engine
        self._images = images
        self._snapshots = snapshots
        self._cache = cache
        self._runtime = runtime
        self._fetcher = fetcher
        self._settings = settings
        self._workers = Workers()
        self._site: Site | None = None

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Build an image of a context."""
        from sampan.daemon.builds import carry_out
        from sampan.daemon.config_builder import budget

        lines = carry_out(self.opened(), options, body)
        try:
            async for line in lines:
                yield line
        finally:
            await lines.aclose()
            collecting = self._cache.collect(budget(self._engine.config.builder))
            _ = self._engine.spawn(collecting, "the build cache's budget")

    @property
    def cache(self) -> BuildCacheApi:
        """What earlier builds left."""
        return self._cache

    def opened(self) -> "Site":
        """What builds are made with, loaded now where it was not."""
        if self._site is None:
            from sampan.build.sources import Remote
            from sampan.build.tree.git_program import GitProgram
            from sampan.build.tree.remote import Remembered
            from sampan.daemon.build_programs import BuildPrograms
            from sampan.daemon.builds import Site

            programs = BuildPrograms(self._engine)
            self._runtime.on_exit(programs.on_exit)
            cache, mounts = self._cache.cache, self._cache.mounts
            remote = Remote(self._fetcher, Remembered(), GitProgram(_PROGRAMS, self._settings().proxies))
            self._site = Site(
                self._engine,
                self._images,
                self._snapshots,
                cache,
                mounts,
                remote,
                programs,
                self._workers,
                self._repositories,
            )
        return self._site


def sweep(engine: Engine) -> None:
    """Take away what the builds of an earlier daemon left: contexts, and files that were in memory."""
    memory_files.sweep(engine.config.exec_root / "build")
    engine.trash.take(engine.config.data_root / "builds")
