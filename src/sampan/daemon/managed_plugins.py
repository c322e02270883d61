"""Managed plugins installed, enabled, changed and removed: what is acknowledged is durable, and nothing is half-made.

    pull, create ──▶ the root has its place ──▶ record ──▶ event          remove ──▶ record ──▶ files
    enable ──▶ it listens ──▶ record                                      disable ──▶ record ──▶ it has ended

Loaded with the first plugin that is asked for: most daemons have none.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, TypeVar

import msgspec

from sampan.crashpoints import crash_point
from sampan.daemon.engine import Engine
from sampan.daemon.piping import Passing
from sampan.daemon.travels import follow
from sampan.errors import Conflict, InvalidParameter, NotImplementedHere, System
from sampan.images.downloads import Downloads
from sampan.images.references import Reference, parse_reference
from sampan.images.steps import Cancellation, Report
from sampan.managed import making, privileges, settings
from sampan.managed.catalog import Catalog, Record
from sampan.managed.process import Processes
from sampan.managed.shelf import Shelf
from sampan.managed.supervisor import Metrics, Supervisor
from sampan.managed.travel import Brought, Travel
from sampan.plugins.places import Address
from sampan.registry.authconfig import lenient_auth
from sampan.registry.registries import RemoteRegistries
from sampan.spec import images as i
from sampan.spec.ids import new_id
from sampan.spec.plugins import PluginConfig, PluginPrivilege

_log = logging.getLogger("sampan.plugins")
T = TypeVar("T")
Users = Callable[[str], Sequence[str]]
"""What uses the plugin of a name: volumes and networks."""


class ManagedPlugins:
    """All of one daemon's. On its event loop."""

    def __init__(
        self,
        engine: Engine,
        registries: RemoteRegistries,
        users: Users,
        environment: dict[str, str],
        metrics: Metrics,
    ) -> None:
        config = engine.config
        self._engine = engine
        self._users = users
        self.catalog = Catalog(engine.store)
        self._shelf = Shelf(config.data_root / "plugins")
        self._shelf.sweep({record.id: record.root for record in self.catalog})
        downloads = Downloads(self._shelf.content, config.max_downloads, config.download_attempts)
        self._travel = Travel(self._shelf, registries, downloads, lambda: engine.config.policy)
        self.supervisor = Supervisor(
            Processes(config.exec_root / "managed", environment), self._shelf, f"sampan-{engine.instance}", metrics
        )
        self._loop = asyncio.get_running_loop()
        self._travelling = 0
        self._gate = threading.Lock()
        self._locks: dict[str, asyncio.Lock] = {}

    def _lock(self, record: Record) -> asyncio.Lock:
        """One change of a plugin at a time."""
        return self._locks.setdefault(record.id, asyncio.Lock())

    def _again(self, record: Record) -> Record:
        """The record as it is now that its lock is held. Raises NotFound."""
        return self.catalog.find(record.id)

    def _tell(self, action: str, actor: str, name: str) -> None:
        self._engine.events.publish("plugin", action, actor, {"name": name})

    async def _put(self, record: Record) -> None:
        await self._engine.durable(self.catalog.put(record))

    # ---- how they come

    async def look(self, reference: Reference, credentials: str) -> tuple[PluginPrivilege, ...]:
        """The rights that a plugin in a registry asks for."""

        def work() -> PluginConfig:
            with self._on_the_way():
                return self._travel.look(reference, lenient_auth(credentials))

        return privileges.asked(await asyncio.to_thread(work))

    def pull(
        self, reference: Reference, name: str, granted: Sequence[PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        """Install a plugin. Raises InvalidParameter at once where the name is taken."""
        self.catalog.check_name(name, InvalidParameter)

        def work(report: Report, end: Cancellation) -> None:
            with self._on_the_way():
                brought = self._bring(reference, granted, credentials, report, end)
                self._from_thread(self._tell, "pull", reference.familiar, name)
                self._await(self._install(brought, name, str(reference)))

        return follow("plugin pull", work)

    def upgrade(
        self, record: Record, reference: Reference, granted: Sequence[PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        """Bring another version of a plugin in its place. Raises Conflict at once where it is enabled."""
        _check_disabled(record)

        def work(report: Report, end: Cancellation) -> None:
            with self._on_the_way():
                brought = self._bring(reference, granted, credentials, report, end)
                self._from_thread(self._tell, "pull", reference.familiar, record.name)
                self._await(self._replace(record, brought, str(reference)))

        return follow("plugin upgrade", work)

    def _bring(
        self,
        reference: Reference,
        granted: Sequence[PluginPrivilege],
        credentials: str,
        report: Report,
        end: Cancellation,
    ) -> Brought:
        check = partial(_check_granted, granted)
        return self._travel.bring(reference, lenient_auth(credentials), check, report, end)

    async def create(self, name: str, archive: AsyncIterator[bytes]) -> None:
        """Make one of a tar of `config.json` and `rootfs/`."""
        reference = parse_reference(name)
        if reference.digest is not None:
            raise System("canonical references are not permitted")
        name = reference.with_default_tag().familiar
        self.catalog.check_name(name)

        def work(tar: BinaryIO) -> Record:
            with self._on_the_way():
                return self._await(self._install(making.make(self._shelf, tar, Cancellation()), name, name))

        async with Passing(archive) as passing:
            made = await asyncio.to_thread(work, passing.file)
        self._tell("create", made.id, name)

    async def _install(self, brought: Brought, name: str, reference: str) -> Record:
        """Give what was brought its place and its record."""
        identifier = new_id()
        try:
            root = await asyncio.to_thread(self._shelf.keep, brought.root, identifier)
            crash_point("plugin-before-commit")
            # Last before the record, without a wait in between: two of one name may have come at once.
            self.catalog.check_name(name, InvalidParameter)
            record = _record(brought, identifier, name, reference, root)
            await self._put(record)
        except BaseException:
            self._shelf.drop(brought.root)
            self._shelf.remove(identifier)
            raise
        return record

    async def _replace(self, record: Record, brought: Brought, reference: str) -> None:
        """The other version's root and configuration."""
        try:
            async with self._lock(record):
                record = self._again(record)
                _check_disabled(record)
                root = await asyncio.to_thread(self._shelf.keep, brought.root, record.id)
                newer = msgspec.structs.replace(
                    _record(brought, record.id, record.name, reference, root),
                    settings=settings.carried_over(brought.config, record.settings),
                )
                crash_point("plugin-before-commit")
                await self._put(newer)
                self._shelf.keep_only(record.id, root)
        finally:
            self._shelf.drop(brought.root)

    async def push(self, record: Record, credentials: str) -> AsyncIterator[i.Progress]:
        """Send one to the registry that its name says."""
        reference = parse_reference(record.name)

        def work(report: Report, end: Cancellation) -> None:
            with self._on_the_way():
                self._travel.send(record, reference, lenient_auth(credentials), report, end)

        async for line in follow("plugin push", work):
            yield line

    # ---- how they run

    async def enable(self, record: Record, timeout: int) -> None:
        """Run it from now on. Raises Conflict where it runs, System where it does not come up."""
        if self._engine.config.rootless and self._engine.around.without_groups:
            raise NotImplementedHere(
                "managed plugins in rootless mode without control groups are not implemented: have them delegated "
                "(sampan rootless setup --systemd, docs/rootless.md)"
            )
        async with self._lock(record):
            record = self._again(record)
            if record.enabled:
                raise Conflict(f"plugin already enabled: plugin {record.name} is enabled")
            record = msgspec.structs.replace(record, enabled=True, timeout=timeout)
            await self.supervisor.start(record)
            crash_point("plugin-enabled-before-commit")
            try:
                await self._put(record)
            except BaseException:
                await self.supervisor.stop(record.id)
                raise

    async def disable(self, record: Record, force: bool) -> None:
        """Stop it. Raises Conflict where it does not run, or something uses it and `force` is not given."""
        async with self._lock(record):
            record = self._again(record)
            if not force:
                self._check_unused(record)
            if not record.enabled:
                raise Conflict(f"plugin is already disabled: plugin {record.name} found but disabled")
            await self._stop(record)

    async def _stop(self, record: Record) -> None:
        # Nobody is led to it any more before it ends.
        await self._put(msgspec.structs.replace(record, enabled=False))
        await self.supervisor.stop(record.id)

    def address(self, record: Record) -> Address:
        """Where one that is enabled listens, and what its paths mean."""
        return self.supervisor.address(record)

    async def set(self, record: Record, wanted: Sequence[str]) -> None:
        """Change settings of one that does not run. Raises System in Docker's words."""
        async with self._lock(record):
            record = self._again(record)
            if record.enabled:
                raise System("cannot set on an active plugin, disable plugin before setting")
            config, changed = settings.changed(record.config, record.settings, wanted)
            await self._put(msgspec.structs.replace(record, config=config, settings=changed))

    async def remove(self, record: Record, force: bool) -> None:
        """Remove it, with `force` also where it is used or runs. Raises Conflict."""
        async with self._lock(record):
            record = self._again(record)
            if not force:
                self._check_unused(record)
                if record.enabled:
                    raise Conflict(f"plugin {record.name} is enabled")
            if record.enabled:
                await self._stop(record)
            await asyncio.shield(asyncio.wrap_future(self.catalog.remove(record)))
            crash_point("plugin-after-removal")
            await asyncio.to_thread(self._discard, record)
            self._locks.pop(record.id, None)

    def _discard(self, record: Record) -> None:
        try:
            self._shelf.remove(record.id)
        except OSError as error:
            # The record is gone, which is what counts; the next start tries again.
            _log.warning("plugin %s leaves files behind: %s", record.name, error)
        self._collect()

    def _check_unused(self, record: Record) -> None:
        if self._users(record.name):
            raise Conflict(f"plugin {record.name} is in use")

    # ---- threads

    def _from_thread(self, call: Callable[..., None], *args: str) -> None:
        self._loop.call_soon_threadsafe(call, *args)

    def _await(self, work: Coroutine[object, object, T]) -> T:
        """What a coroutine of the event loop returns; called in a thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @contextmanager
    def _on_the_way(self) -> Iterator[None]:
        """While blobs come in that no record names yet; with the last one's end those that none needs go. In a thread."""
        with self._gate:
            self._travelling += 1
        try:
            yield
        finally:
            with self._gate:
                self._travelling -= 1
            self._collect()

    def _collect(self) -> None:
        with self._gate:
            if not self._travelling:
                self._shelf.collect(blob for record in self.catalog for blob in record.blobs)

    async def close(self, *, stop: bool) -> None:
        """Let go of all; with `stop` end them."""
        await self.supervisor.close(stop=stop)
        self._shelf.close()


def _check_granted(granted: Sequence[PluginPrivilege], config: PluginConfig) -> None:
    privileges.check(config, granted)


def _check_disabled(record: Record) -> None:
    if record.enabled:
        raise Conflict(f"plugin must be disabled before upgrading: plugin {record.name} is enabled")


def _record(brought: Brought, identifier: str, name: str, reference: str, root: str) -> Record:
    return Record(
        id=identifier,
        name=name,
        reference=reference,
        config=brought.config,
        settings=settings.initial(brought.config),
        configuration=brought.configuration,
        manifest=brought.manifest,
        media_type=brought.media_type,
        layers=brought.layers,
        root=root,
    )
