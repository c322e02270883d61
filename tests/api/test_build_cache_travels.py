"""Build caches in Debian's docker-registry, over real layers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.snapshots.overlay import OverlaySnapshotter
from tests.registries import Registry, running_registry
from tests.requires import requires
from tests.unit.build.cache.cached import CacheWorld, built
from tests.unit.build.cache.test_travel import PLAN, Option, opened, sends

pytestmark = requires("root", "overlay", "docker-registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def world(directory: Path) -> CacheWorld:
    directory.mkdir()
    return CacheWorld(directory, RemoteRegistries(Settings()), OverlaySnapshotter(directory))


@pytest.mark.parametrize("manifest", ["true", "false"])
def test_there_and_back(registry: Registry, tmp_path: Path, manifest: str) -> None:
    option = Option("registry", {"ref": f"127.0.0.1:{registry.port}/team/cache:{manifest}"})
    to = Option("registry", {**option.attributes, "image-manifest": manifest, "mode": "max"})
    first, second = world(tmp_path / "first"), world(tmp_path / "second")
    try:
        assert len(built(first, PLAN, then=sends(first, to))) == 3
        assert built(first, PLAN, then=sends(first, to)) == [], "sent again, although nothing is new"
        assert built(second, PLAN, imports=[opened(second, option)]) == []
        second.cache.drop(second.cache.records())
        assert second.snapshots.layers() == ()
        assert built(second, PLAN, imports=[opened(second, option)]) == []
    finally:
        first.close()
        second.close()
