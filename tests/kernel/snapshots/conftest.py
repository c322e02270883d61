"""Where a driver finds the file system that it is made for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import disks


@pytest.fixture(scope="session")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A btrfs on a loop device."""
    with disks.mounted(tmp_path_factory.mktemp("btrfs") / "mounted", "btrfs", disks.BTRFS_SIZE) as disk:
        yield disk.place


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """pytest's own; for the driver btrfs a directory there."""
    # What a test is parametrized with; a test without parameters has none.
    spec = getattr(request.node, "callspec", None)
    if spec is None or "btrfs" not in spec.params.values():
        return tmp_path
    place = Path(request.getfixturevalue("btrfs")) / tmp_path.name
    place.mkdir()
    return place
