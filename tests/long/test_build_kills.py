"""A hundred kills in the midst of builds and prunes, from a new seed each time (SEED repeats one)."""

import os
import time

import pytest

from tests.build_kills import random_build_kills
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "docker-client"), pytest.mark.crash]


@pytest.mark.parametrize("round_number", range(4))
def test_kills_leave_a_clean_cache(round_number: int) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000)) + round_number
    counts = random_build_kills(25, seed)
    print(f"seed {seed}: {counts}")
    assert all(acknowledged for acknowledged, _ in counts.values()), counts
    assert sum(cut for _, cut in counts.values()) > 5, "the kills fell into nothing"
