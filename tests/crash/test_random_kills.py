"""Thirty random kills in every full check; `./check long kills` does more of them, from a new seed each time."""

import pytest

from tests.kills import random_kills
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "docker-client", "busybox"), pytest.mark.crash]


def test_thirty_random_kills_leave_nothing() -> None:
    random_kills(30, seed=20261123)
