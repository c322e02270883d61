"""What this front end needs of the daemon. Implemented in daemon.buildkit_api."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import BinaryIO, Protocol

import msgspec

from sampan.build.operations import GitSource
from sampan.build.progress import OutputEvent, ResultEvent
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built
from sampan.build.tree.remote_context import RemoteContext
from sampan.dockerfile.instructions import Dockerfile
from sampan.registry.protocol import Source
from sampan.spec.disk import BuildCache
from sampan.spec.ids import Digest, ImageId

PassOn = Callable[[OutputEvent | ResultEvent], Awaitable[None]]
"""Passes a piece of an output on."""


Told = Callable[[str], None]
"""Hears what a reader of the progress should know."""


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says of itself to builders' clients."""

    version: str
    platform: str
    """of this machine, as a build's attributes name it"""
    host_gateway: str = ""
    entitlements: frozenset[str] = frozenset({"network.host"})
    """what builds may ask for, beside what their clients allow"""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be had from elsewhere: a commit of a repository, or what is behind a URL.

    `file`: that is wanted as one file of this name; else an archive is unpacked, and what is none is a Dockerfile.
    """

    git: GitSource | None = None
    agent: str = ""
    """the socket of an ssh agent for git"""
    authorization: str = ""
    """what git is to send as HTTP's header of this name"""
    url: str = ""
    file: str = ""
    checksum: str = ""


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

    async def translated(self, text: str, arguments: Mapping[str, str]) -> str:
        """The Dockerfile that `text` means: itself, but where it is another language that is installed. Raises SampanError."""
        ...

    async def build(
        self, request: BuildRequest, dockerfile: Dockerfile, progress: GraphReport, told: Told, line: PassOn
    ) -> Built:
        """Build, outputs and caches and all. Raises as `build.solve.build` does. Cancelled: what runs is ended before this returns.

        `told` hears of outputs and caches, from any thread; `line` takes what the client keeps.
        """
        ...

    async def fetch(self, wish: Fetch, into: int) -> RemoteContext:
        """Have a context from elsewhere, kept below the empty directory `into`. The caller closes it.

        Raises SampanError, OSError. Cancelled: it is called off before this returns.
        """
        ...

    async def unpack(self, content: BinaryIO, into: int) -> RemoteContext:
        """The same of what the client sent: an archive, or a Dockerfile alone. `content` is closed."""
        ...

    def brought(self, source: Source, digest: Digest, platform: str) -> AbstractAsyncContextManager[ImageId]:
        """An image out of the client's store, in this machine's for the block. Raises SampanError, OSError."""
        ...

    async def forget(self, image: ImageId, since: int) -> None:
        """Take away an image that was made after `since` (nanoseconds), unless somebody has called it something."""
        ...

    async def records(self) -> Sequence[BuildCache]:
        """The build cache, as `docker system df -v` lists it."""
        ...

    async def prune(self, wish: PruneWish) -> Sequence[BuildCache]:
        """Remove from the build cache; what went."""
        ...
