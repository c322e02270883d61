"""The daemon's side of BuildKit's protocol: `buildkit.needs.Builder` over the same solver and cache as the classic builds."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built
from sampan.build.solve import Hearing
from sampan.build.tree.remote_context import RemoteContext
from sampan.buildkit.building import Workshop
from sampan.buildkit.connections import serve
from sampan.buildkit.control import Control
from sampan.buildkit.gateway import Gateway
from sampan.buildkit.history import History
from sampan.buildkit.needs import Fetch, Manner, PassOn, PruneWish, Told
from sampan.buildkit.pools import Pools
from sampan.buildkit.sessions import Offer, Sessions, offer_of
from sampan.buildkit.solves import Solves
from sampan.daemon.build_cache import BuildCacheApi
from sampan.daemon.build_fetching import brought, fetch, unpacked
from sampan.daemon.build_results import forget
from sampan.daemon.builds import Place, Site, perform
from sampan.daemon.builds_api import BuildsApi
from sampan.daemon.front_ends import translated
from sampan.dockerfile.arguments import platform_text
from sampan.dockerfile.instructions import Dockerfile
from sampan.images.platforms import builders_platform
from sampan.registry.protocol import Source
from sampan.spec.disk import BuildCache
from sampan.spec.ids import Digest, ImageId
from sampan.spec.requests import BuildPruneOptions, Hijacked, Taker
from sampan.version import VERSION


class DaemonBuilder:
    """Implements `buildkit.needs.Builder`."""

    def __init__(self, site: Site, cache: BuildCacheApi) -> None:
        self._site = site
        self._cache = cache

    @property
    def manner(self) -> Manner:
        """What it is."""
        gateways = self._site.engine.config.host_gateway_ips
        return Manner(
            version=VERSION,
            platform=platform_text(builders_platform()),
            host_gateway=str(gateways[0]) if gateways else "",
            entitlements=self._site.granted,
        )

    @contextmanager
    def directory(self) -> Iterator[int]:
        """An empty directory for one build."""
        with Place(self._site) as place:
            yield place.directory("context")

    @contextmanager
    def socket_directory(self) -> Iterator[str]:
        """An empty directory for sockets, below the exec root: a socket's path has 107 bytes."""
        place = Path(self._site.engine.config.exec_root) / "build-agents"
        place.mkdir(mode=0o700, exist_ok=True)
        made = tempfile.mkdtemp(dir=place)
        try:
            yield made
        finally:
            for name in Path(made).iterdir():
                name.unlink(missing_ok=True)
            Path(made).rmdir()

    async def translated(self, text: str, arguments: Mapping[str, str]) -> str:
        """See `needs.Builder`."""
        return await translated(self._site.engine.plugins, text, arguments)

    async def build(
        self, request: BuildRequest, dockerfile: Dockerfile, progress: GraphReport, told: Told, line: PassOn
    ) -> Built:
        """Build."""
        with Place(self._site) as place:
            scratch = place.directory("scratch")
            return await perform(self._site, request, dockerfile, scratch, progress, Hearing(), told, line)

    async def fetch(self, wish: Fetch, into: int) -> RemoteContext:
        """Have a context from elsewhere."""
        return await fetch(self._site.remote, self._site.workers, wish, into)

    async def unpack(self, content: BinaryIO, into: int) -> RemoteContext:
        """Unpack what the client sent."""
        return await unpacked(self._site.workers, content, into)

    def brought(self, source: Source, digest: Digest, platform: str) -> AbstractAsyncContextManager[ImageId]:
        """An image out of the client's store."""
        return brought(self._site.images, self._site.workers, source, digest, platform)

    async def forget(self, image: ImageId, since: int) -> None:
        """Take away an image that was made on the way."""
        await self._site.workers.run(forget, self._site.images, image, since)

    async def records(self) -> Sequence[BuildCache]:
        """The build cache."""
        return await self._cache.list()

    async def prune(self, wish: PruneWish) -> Sequence[BuildCache]:
        """Remove from the build cache; what went."""
        before = {record.id: record for record in await self._cache.list()}
        filters: dict[str, tuple[str, ...]] = {}
        for entry in filter(None, wish.filters):
            key, _, value = entry.replace("==", "=").partition("=")
            filters[key] = (*filters.get(key, ()), value)
        if wish.unused:
            filters["until"] = (f"{wish.unused}ns",)
        options = BuildPruneOptions(wish.every, wish.reserved, wish.most, wish.free, filters)
        report = await self._cache.prune(options)
        return [before[name] for name in report.caches_deleted or () if name in before]


@dataclass(frozen=True, slots=True)
class _Served:
    """A session on its way to be kept."""

    sessions: Sessions
    offer: Offer

    async def take(self, connection: Hijacked) -> None:
        """Hold it until its client closes it."""
        await self.sessions.keep(self.offer, connection)


class Frontend:
    """BuildKit's services on one daemon."""

    def __init__(self, builds: BuildsApi) -> None:
        site = builds.opened()
        self._sessions = Sessions()
        solves = Solves()
        workshop = Workshop(DaemonBuilder(site, builds.cache), self._sessions, Pools(site.places), solves)
        control = Control(workshop, solves)
        gateway = Gateway(workshop, solves, control)
        self._handlers = {**control.handlers(), **gateway.handlers(), **History(solves).handlers()}

    async def serve(self, connection: Hijacked) -> None:
        """Answer a client's calls until it closes the connection."""
        await serve(connection.sock, connection.pending, self._handlers)

    def session(self, headers: Mapping[bytes, bytes]) -> Taker:
        """Who keeps the session. Raises InvalidParameter, Conflict."""
        offer = offer_of(headers)
        self._sessions.check(offer)
        return _Served(self._sessions, offer)
