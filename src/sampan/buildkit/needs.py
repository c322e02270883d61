"""What this front end needs of the daemon. Implemented in daemon.buildkit_api."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from sampan.build.progress import OutputEvent, ResultEvent
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built
from sampan.dockerfile.instructions import Dockerfile
from sampan.spec.disk import BuildCache

PassOn = Callable[[OutputEvent | ResultEvent], Awaitable[None]]
"""Passes a piece of an output on."""


Told = Callable[[str], None]
"""Hears what a reader of the progress should know."""


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says of itself to builders' clients."""

    version: str
    host_gateway: str = ""
    entitlements: frozenset[str] = frozenset({"network.host"})
    """what builds may ask for, beside what their clients allow"""


class PruneWish(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes, and nanoseconds of not having been used; 0 is no limit."""

    filters: tuple[str, ...] = ()
    every: bool = False
    unused: int = 0
    reserved: int = 0
    most: int = 0
    free: int = 0


class Builder(Protocol):
    """Building, and what builds left."""

    @property
    def manner(self) -> Manner:
        """What it is."""
        ...

    def directory(self) -> AbstractContextManager[int]:
        """An empty directory for one build, as a descriptor; it goes with the block."""
        ...

    def socket_directory(self) -> AbstractContextManager[str]:
        """An empty directory with a short name, for sockets; it goes with the block."""
        ...

    async def build(
        self, request: BuildRequest, dockerfile: Dockerfile, progress: GraphReport, told: Told, line: PassOn
    ) -> Built:
        """Build, outputs and caches and all. Raises as `build.solve.build` does. Cancelled: what runs is ended before this returns.

        `told` hears of outputs and caches, from any thread; `line` takes what the client keeps.
        """
        ...

    async def records(self) -> Sequence[BuildCache]:
        """The build cache, as `docker system df -v` lists it."""
        ...

    async def prune(self, wish: PruneWish) -> Sequence[BuildCache]:
        """Remove from the build cache; what went."""
        ...
