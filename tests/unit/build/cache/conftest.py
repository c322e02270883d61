from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.build.cache.cached import CacheWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CacheWorld]:
    made = CacheWorld(tmp_path)
    yield made
    made.close()
