"""Five kills in the midst of image operations in every full check; `./check long image_kills` does two hundred."""

import pytest

from tests.image_kills import random_image_kills
from tests.requires import requires

pytestmark = [requires("root", "overlay", "busybox", "docker-client", "docker-registry"), pytest.mark.crash]


def test_five_kills_leave_a_clean_store() -> None:
    counts = random_image_kills(5, seed=20261126)
    assert sum(acknowledged for acknowledged, _ in counts.values()) > 10
