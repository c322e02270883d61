"""The table of limits with the times that a proof takes: ten seconds of processor time, a hundred megabytes written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import limits
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "cgroup:memory", "cgroup:cpu", "cgroup:cpuset", "cgroup:blkio")


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def test_shares(engine: Sampan) -> None:
    limits.shares_divide_a_core(engine, 10)


def test_quota(engine: Sampan) -> None:
    limits.a_quota_holds(engine, 10)


@requires("losetup")
def test_rate_of_writing(engine: Sampan, tmp_path: Path) -> None:
    limits.a_rate_of_writing_holds(engine, tmp_path, 20)


def test_fork_bombs(engine: Sampan) -> None:
    for _ in range(10):
        limits.a_fork_bomb_stops_at_its_limit(engine)


def test_memory(engine: Sampan) -> None:
    for _ in range(10):
        limits.memory_past_the_limit_is_killed(engine)
