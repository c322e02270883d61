"""What the routes of builds call: see `backend`."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from sampan.spec import requests as r
from sampan.spec.builds import BuildOptions
from sampan.spec.disk import BuildPruneReport


class Builds(Protocol):
    """Images that are built."""

    def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Build what `body` and the options say; the lines of progress. Called off when the iterator is closed.

        What is wrong with the request is raised before the first line, what goes wrong afterwards is told in a line.
        """
        ...


class BuildCache(Protocol):
    """What builds made before, and the directories of their cache mounts."""

    async def prune(self, options: r.BuildPruneOptions) -> BuildPruneReport:
        """Remove what no build under way uses, as far as filters and limits say; without `all` what images share stays."""
        ...

    async def mount_archive(self, identity: str) -> AsyncIterator[bytes]:
        """A tar of a cache mount's files. Raises NotFound."""
        ...

    async def replace_mount(self, options: r.BuildMountOptions, archive: AsyncIterator[bytes]) -> None:
        """Let a cache mount be what the tar holds. Raises Conflict where a build has it, InvalidParameter for the tar."""
        ...


class BuildKit(Protocol):
    """BuildKit's protocol: gRPC on connections that are given away."""

    def control(self) -> r.Taker:
        """Who answers a client's calls."""
        ...

    def session(self, headers: Mapping[bytes, bytes]) -> r.Taker:
        """Who calls the client that serves. Raises InvalidParameter, Conflict for a session that is open already."""
        ...
