"""A daemon that gets no memory under a load of everything, again and again: nothing acknowledged is lost, nobody waits for ever.

ROUNDS sets how often (60), SEED repeats a run. In each round the daemon may have up to a few megabytes more, for some seconds.
"""

import os
import random
import time
from collections import Counter

import pytest

from tests.daemons import Sampan, running_sampan
from tests.mixed_load import Client, Load
from tests.requires import requires
from tests.squeezing import squeezed

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox"), pytest.mark.crash]

ROUNDS = int(os.environ.get("ROUNDS", "60"))
CLIENTS = 4
MOST_SPARE = 8 << 20
SECONDS = 6.0


def test_no_memory_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a daemon writes down as it ends is no line.
    monkeypatch.setattr(Sampan, "answers", None)
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)
    ends: Counter[str] = Counter()
    with running_sampan() as engine:
        engine.load_busybox()
        clients = [Client(engine, number, seed, "") for number in range(CLIENTS)]
        with Load(clients) as load:
            for number in range(ROUNDS):
                where = f"seed {seed}, round {number}"
                ends[squeeze(engine, dice)] += 1
                load.pause()
                for client in clients:
                    client.faults.clear()  # any refusal is right without memory
                lost = [line for client in clients for line in client.lost()]
                assert lost == [], f"{where}: {lost}"
                checked = engine.sampan("system", "check", timeout=120)
                assert checked.code == 0, f"{where}: {checked}\n{engine.log_tail()}"
                load.go_on()
        for client in clients:
            client.remove_all()
        done = sum((client.done for client in clients), Counter[str]())
    print(f"seed {seed}, {ROUNDS} rounds, {dict(ends)}, done {dict(done)}")
    assert ends["ended"], f"seed {seed}: the daemon never ran out of memory"


def squeeze(engine: Sampan, dice: random.Random) -> str:
    """How the daemon bore it."""
    assert engine.process is not None
    until = time.monotonic() + SECONDS
    process = engine.process
    with squeezed(engine, dice.randrange(MOST_SPARE)):
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    return "served on" if engine.process is process else "ended"
