"""Two hundred kills in the midst of image operations, from a new seed each time (SEED repeats one)."""

import os
import time

import pytest

from tests.image_kills import random_image_kills
from tests.requires import requires

pytestmark = [requires("root", "overlay", "busybox", "docker-client", "docker-registry"), pytest.mark.crash]


@pytest.mark.parametrize("round_number", range(4))
def test_fifty_kills_leave_a_clean_store(round_number: int) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000)) + round_number
    counts = random_image_kills(50, seed)
    print(f"seed {seed}: {counts}")
    assert all(acknowledged for acknowledged, _ in counts.values()), counts
    assert sum(cut for _, cut in counts.values()) > 10, "the kills fell into nothing"
