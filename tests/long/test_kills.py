"""A thousand random kills, from a new seed each time (SEED repeats one)."""

import os
import time

import pytest

from tests.kills import random_kills
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "docker-client", "busybox"), pytest.mark.crash]


@pytest.mark.parametrize("round_number", range(10))
def test_hundred_random_kills_leave_nothing(round_number: int) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000)) + round_number
    random_kills(100, seed)
