"""Thousands of lives: the engine neither grows nor slows down."""

from bench import host, measures
from tests.daemons import running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "busybox")

ROUNDS = 10
LIVES = 300


def test_memory_and_start_time_stay_flat_over_three_thousand_lives() -> None:
    with running_sampan() as engine:
        engine.load_busybox()
        assert engine.process is not None
        sizes, medians = [], []
        for _ in range(ROUNDS):
            medians.append(measures.lives(engine, "bridge", LIVES)[0].p50)
            sizes.append(host.pss(host.processes_of(engine.process.pid, str(engine.directory))))
        # The first round fills caches and pools.
        assert sizes[-1] < sizes[1] * 1.1, sizes
        assert medians[-1] < medians[1] * 1.5, medians
