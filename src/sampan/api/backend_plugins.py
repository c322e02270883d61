"""What the routes of managed plugins need of the daemon."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from sampan.spec import plugins as p
from sampan.spec import requests as r
from sampan.spec.images import Progress


class Plugins(Protocol):
    """Plugins that the engine runs itself. `credentials` is the header X-Registry-Auth, lenient."""

    async def list(self, filters: r.Filters) -> Sequence[p.Plugin]:
        """The plugins that fit."""
        ...

    async def inspect(self, name: str) -> p.Plugin:
        """One plugin, by name or id."""
        ...

    async def privileges(self, remote: str, credentials: str) -> Sequence[p.PluginPrivilege]:
        """The rights that a plugin in a registry asks for."""
        ...

    def called(self, remote: str, name: str) -> str:
        """What a plugin is called that is pulled from `remote` as `name` ("" for its own name). Raises InvalidParameter."""
        ...

    def pull(
        self, remote: str, name: str, granted: Sequence[p.PluginPrivilege], credentials: str
    ) -> AsyncIterator[Progress]:
        """Install one, if exactly those rights are granted that it asks for."""
        ...

    def upgrade(
        self, name: str, remote: str, granted: Sequence[p.PluginPrivilege], credentials: str
    ) -> AsyncIterator[Progress]:
        """Bring another version of one that does not run."""
        ...

    async def create(self, name: str, archive: AsyncIterator[bytes]) -> None:
        """Make one of a tar of `config.json` and `rootfs/`."""
        ...

    def push(self, name: str, credentials: str) -> AsyncIterator[Progress]:
        """Send one to its registry."""
        ...

    async def enable(self, name: str, timeout: int) -> None:
        """Run it; `timeout` in seconds is what a request to it may take, 0 for the default."""
        ...

    async def disable(self, name: str, force: bool) -> None:
        """Stop it, with `force` also where something uses it."""
        ...

    async def set(self, name: str, wanted: Sequence[str]) -> None:
        """Change settings of one that does not run: all or none."""
        ...

    async def remove(self, name: str, force: bool) -> None:
        """Remove it, with `force` also where it runs or is used."""
        ...
