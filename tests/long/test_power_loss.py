"""Many power cuts, from a new seed each time: CUTS sets how many (40), SEED repeats a run's."""

import os
import time

import pytest

from tests.daemons import Sampan
from tests.power_cuts import power_cuts
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "losetup"), pytest.mark.crash]


def test_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sampan, "answers", None)
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    cuts = int(os.environ.get("CUTS", "40"))
    done = power_cuts(cuts, seed)
    print(f"seed {seed}, {cuts} cuts, done {dict(done)}")
    assert done.total() > cuts
