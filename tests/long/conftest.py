"""What the long runs share."""

from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.long.buildx import Buildx


@pytest.fixture
def buildx(engine: Sampan, tmp_path: Path) -> Buildx:
    """The real plugin against the module's engine, with settings of its own."""
    return Buildx(engine, tmp_path / "docker")
