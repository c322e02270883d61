"""Managed plugins as the API calls for them. What runs them is loaded when there is one, or one is asked for."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sampan.daemon import matching
from sampan.daemon.engine import Engine
from sampan.daemon.metrics_collectors import MetricsCollectors
from sampan.daemon.plugin_volumes import PluginVolumes
from sampan.errors import InvalidParameter, NotFound, System
from sampan.images.references import Reference, parse_reference
from sampan.network.networks import Networks
from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Address
from sampan.registry.registries import RemoteRegistries
from sampan.spec import images as i
from sampan.spec import requests as r
from sampan.spec.plugins import Plugin, PluginPrivilege

if TYPE_CHECKING:
    from sampan.daemon.managed_plugins import ManagedPlugins, Users
    from sampan.managed.catalog import Record

_TABLE = "plugins"
_KEYS = ("capability", "enable", "enabled")
"""Docker's command sends `enabled`, its API's description says `enable`."""


class ManagedApi:
    """Implements `api.backend.Plugins`."""

    def __init__(
        self,
        engine: Engine,
        registries: RemoteRegistries,
        users: "Users",
        environment: dict[str, str],
        metrics: MetricsCollectors,
    ) -> None:
        self._metrics = metrics
        self._engine = engine
        self._registries = registries
        self._users = users
        self._environment = environment
        self._loaded: ManagedPlugins | None = None

    def _plugins(self) -> "ManagedPlugins":
        if self._loaded is None:
            from sampan.daemon.managed_plugins import ManagedPlugins

            self._loaded = ManagedPlugins(self._engine, self._registries, self._users, self._environment, self._metrics)
        return self._loaded

    def _is_any(self) -> bool:
        return bool(self._engine.store.table(_TABLE))

    def _find(self, name: str) -> "Record":
        """Raises NotFound, InvalidParameter in Docker's words."""
        if not self._is_any():
            # `docker inspect` asks here last, and tells "No such object" only after a plain 404.
            raise NotFound(f'plugin "{name}" not found')
        return self._plugins().catalog.find(name)

    def find(self, name: str) -> Address | None:
        """See `plugins.places.Source`: the socket of one that is enabled."""
        if not self._is_any():
            return None
        try:
            record = self._plugins().catalog.find(name)
        except (NotFound, InvalidParameter):
            return None
        if not record.enabled:
            raise PluginFailed(f"plugin {name} found but disabled")
        return self._plugins().address(record)

    def names(self, kind: str) -> tuple[str, ...]:
        """See `plugins.places.Source`: those that are enabled, and whose configuration says that they implement it."""
        if not self._is_any():
            return ()
        from sampan.managed.configuration import capabilities

        return tuple(
            record.name
            for record in self._plugins().catalog
            if record.enabled and kind.lower() in capabilities(record.config)
        )

    async def take_over(self) -> None:
        """Find or start what an earlier daemon had enabled: before the containers that use it."""
        if self._is_any() or (self._engine.config.exec_root / "managed").is_dir():
            plugins = self._plugins()
            await plugins.supervisor.take_over(plugins.catalog)

    def close(self) -> None:
        """See `plugins.places.Source`: `end` has let go of them."""

    async def end(self, *, stop: bool) -> None:
        """Let go of what runs; with `stop` end it."""
        if self._loaded is not None:
            await self._loaded.close(stop=stop)

    async def list(self, filters: r.Filters) -> Sequence[Plugin]:
        """The plugins that fit."""
        matching.check_keys(filters, _KEYS)
        asked = [key for key in ("enable", "enabled") if filters.get(key)]
        states = [matching.boolean(filters, key, default=False) for key in asked]
        if not self._is_any():
            return ()
        return [
            record.shown()
            for record in self._plugins().catalog
            if all(record.enabled is state for state in states) and _implements(record, filters)
        ]

    async def inspect(self, name: str) -> Plugin:
        """One plugin."""
        return self._find(name).shown()

    async def privileges(self, remote: str, credentials: str) -> Sequence[PluginPrivilege]:
        """What one in a registry asks for."""
        return await self._plugins().look(_remote(remote), credentials)

    def pull(
        self, remote: str, name: str, granted: Sequence[PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        """Install one, under `name` or what it is called in the registry."""
        return self._plugins().pull(_remote(remote), _name(remote, name), granted, credentials)

    def called(self, remote: str, name: str) -> str:
        """What one is called that is pulled from `remote` as `name`."""
        return _name(remote, name)

    def upgrade(
        self, name: str, remote: str, granted: Sequence[PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        """Bring another version."""
        return self._plugins().upgrade(self._find(_name(remote, name)), _remote(remote), granted, credentials)

    async def create(self, name: str, archive: AsyncIterator[bytes]) -> None:
        """Make one of a tar."""
        await self._plugins().create(name, archive)

    def push(self, name: str, credentials: str) -> AsyncIterator[i.Progress]:
        """Send one to its registry."""
        return self._plugins().push(self._find(name), credentials)

    async def enable(self, name: str, timeout: int) -> None:
        """Run one."""
        record = self._find(name)
        await self._plugins().enable(record, timeout)
        self._tell("enable", record, name)

    async def disable(self, name: str, force: bool) -> None:
        """Stop one."""
        record = self._find(name)
        await self._plugins().disable(record, force)
        self._engine.plugins.forget(name)
        self._engine.plugins.forget(record.name)
        self._tell("disable", record, name)

    async def set(self, name: str, wanted: Sequence[str]) -> None:
        """Change settings."""
        await self._plugins().set(self._find(name), wanted)

    async def remove(self, name: str, force: bool) -> None:
        """Remove one."""
        record = self._find(name)
        await self._plugins().remove(record, force)
        self._engine.plugins.forget(name)
        self._engine.plugins.forget(record.name)
        self._tell("remove", record, name)

    def _tell(self, action: str, record: "Record", name: str) -> None:
        self._engine.events.publish("plugin", action, record.id, {"name": name})


def _implements(record: "Record", filters: r.Filters) -> bool:
    """As Docker has it: each of its interfaces is among those asked for."""
    from sampan.managed.configuration import capabilities

    return all(matching.exact(filters, "capability", kind) for kind in capabilities(record.config))


def _remote(text: str) -> Reference:
    """What is to be pulled; with a digest the tag counts for nothing."""
    return parse_reference(text).stored()


def _name(remote: str, name: str) -> str:
    """A plugin's name: what was given, or the one in the registry, with a tag in any case."""
    given = parse_reference(name or remote)
    if name and given.digest is not None:
        raise System("cannot use digest in plugin tag")
    return Reference(given.domain, given.path, given.tag).with_default_tag().familiar


def plugin_users(networks: Networks, volumes: PluginVolumes, plugin: str) -> list[str]:
    """The networks and volumes whose driver a plugin is; `plugin` has a tag, which whoever names a driver may leave away."""
    names = {plugin, plugin.removesuffix(":latest")}
    used = [one.name for one in networks.definitions() if names & {one.driver, one.ipam_driver}]
    return [*used, *volumes.of(names)]
