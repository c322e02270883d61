"""Ends of uses that a volume plugin missed: it is told when it is there again, once, and not of a use that has begun anew."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sampan.daemon import plugin_volumes
from sampan.daemon.plugin_volumes import MOUNTS, PluginVolumes
from sampan.plugins.places import Places
from sampan.plugins.plugins import Plugins
from sampan.state.store import Store
from tests.plugin_servers import Driver, ServedPlugin, served

SECONDS = 20


class World:
    """Volumes of one plugin, which comes and goes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.driver = Driver(directory / "data")
        self.store = Store(directory / "db")
        self.volumes = self.next_daemon()

    def next_daemon(self) -> PluginVolumes:
        return PluginVolumes(self.store, Plugins([Places.only((self.directory,))]), ())

    @contextmanager
    def plugin(self) -> Iterator[ServedPlugin]:
        with served(self.directory / "kept.sock", "VolumeDriver", self.driver.answers()) as plugin:
            yield plugin

    def notes(self) -> list[str]:
        return list(self.store.table(MOUNTS))

    async def missed(self, *users: str) -> None:
        """A volume with uses that end while the plugin is away."""
        with self.plugin():
            await self.volumes.create("data", "kept", {}, {})
            for user in users:
                await self.volumes.hold(user, "data")
        for user in users:
            self.volumes.let_go(user)
        # It has tried, and more than once.
        await asyncio.sleep(0.2)
        assert len(self.notes()) == len(users)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if met():
                return
            await asyncio.sleep(0.01)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(plugin_volumes, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(plugin_volumes, "_AGAIN", 0.02)
    monkeypatch.setattr(plugin_volumes, "_SELDOM", 0.1)
    made = World(tmp_path)
    yield made
    made.store.close()


def play(world: World, scene: Callable[[], Awaitable[None]]) -> None:
    async def played() -> None:
        await scene()
        await world.volumes.close()

    asyncio.run(played())


def test_a_plugin_is_told_when_it_is_there_again(world: World) -> None:
    async def scene() -> None:
        await world.missed("one", "two")
        with world.plugin() as plugin:
            await until(lambda: not world.notes())
            assert plugin.names().count("VolumeDriver.Unmount") == 2
        assert world.driver.idle()

    play(world, scene)


def test_a_daemon_that_finds_no_plugin_waits_for_it_too(world: World) -> None:
    async def scene() -> None:
        await world.missed("one")
        await world.volumes.close()
        world.volumes = world.next_daemon()
        world.volumes.settle(lambda _: False)
        await asyncio.sleep(0.1)
        assert world.notes()
        with world.plugin():
            await until(lambda: not world.notes())
        assert world.driver.idle()

    play(world, scene)


def test_a_use_that_begins_anew_is_not_ended(world: World) -> None:
    async def scene() -> None:
        await world.missed("one")
        with world.plugin() as plugin:
            # Before the next try: nothing has waited since the plugin came.
            await world.volumes.hold("one", "data")
            before = plugin.names().count("VolumeDriver.Unmount")
            await asyncio.sleep(0.3)
            assert plugin.names().count("VolumeDriver.Unmount") == before
            assert world.notes()
            world.volumes.let_go("one")
            await until(lambda: not world.notes())

    play(world, scene)


def test_a_removal_tells_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        await world.missed("one")
        # From here on it would not be told by itself.
        monkeypatch.setattr(plugin_volumes, "_SELDOM", 1000.0)
        monkeypatch.setattr(plugin_volumes, "_AGAIN", 500.0)
        await asyncio.sleep(0.2)
        with world.plugin():
            await world.volumes.remove("data", force=False)
        assert world.driver.options == {}
        assert not world.notes()

    play(world, scene)


def test_what_is_forgotten_by_force_is_not_asked_for_ever(world: World) -> None:
    async def scene() -> None:
        await world.missed("one")
        await world.volumes.close()
        world.volumes = world.next_daemon()
        await world.volumes.remove("data", force=True)
        world.volumes.settle(lambda _: False)
        await until(lambda: not world.notes())

    play(world, scene)
