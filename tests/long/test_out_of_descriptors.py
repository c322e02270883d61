"""A daemon that gets no descriptors under a load of everything, again and again: nothing lost, nothing stuck, all well afterwards.

ROUNDS sets how often (60), SEED repeats a run. In each round the daemon may have up to a dozen descriptors more, for a moment.
"""

import os
import random
import resource
import time
from collections import Counter

import pytest

from tests import processes
from tests.daemons import Sampan, running_sampan
from tests.mixed_load import Client, Load
from tests.requires import requires
from tests.squeezing import limited
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox"), pytest.mark.crash]

ROUNDS = int(os.environ.get("ROUNDS", "60"))
CLIENTS = 4
MOST_SPARE = 12
SECONDS = 2.0
MORE = 4
"""Descriptors that may be in use for a moment, or stay for the next: connections, slots that are being made."""
ACTS = 6
"""of each client, when there are descriptors again: none of them may fail"""


def test_no_descriptors_now_and_then() -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)
    refused: Counter[str] = Counter()
    with running_sampan() as engine:
        engine.load_busybox()
        before = len(descriptors(engine))
        clients = [Client(engine, number, seed, "") for number in range(CLIENTS)]
        with Load(clients) as load:
            for number in range(ROUNDS):
                where = f"seed {seed}, round {number}"
                squeeze(engine, dice)
                load.pause()
                refused.update(fault.split(": ", 1)[-1][:60] for fault in load.faults)
                well_again(engine, clients, where)
                load.go_on()
        for client in clients:
            client.remove_all()
        eventually(
            lambda: len(descriptors(engine)) <= before + MORE,
            lambda: f"seed {seed}: {sorted(descriptors(engine).values())}",
        )
        done = sum((client.done for client in clients), Counter[str]())
    print(f"seed {seed}, {ROUNDS} rounds, done {dict(done)}, refused {dict(refused.most_common(20))}")
    assert refused, f"seed {seed}: the daemon never ran out of descriptors"


def descriptors(engine: Sampan) -> dict[int, str]:
    assert engine.process is not None
    return processes.descriptors(engine.process.pid)


def squeeze(engine: Sampan, dice: random.Random) -> None:
    assert engine.process is not None
    limit = 1 + max(descriptors(engine)) + dice.randrange(MOST_SPARE)
    with limited(engine.process.pid, resource.RLIMIT_NOFILE, limit):
        time.sleep(dice.uniform(0, SECONDS))
    assert engine.process.poll() is None, engine.log_tail()


def well_again(engine: Sampan, clients: list[Client], where: str) -> None:
    lost = [line for client in clients for line in client.lost()]
    assert lost == [], f"{where}: {lost}\n{engine.log_tail()}"
    listed = engine.api("GET", "/containers/json").json()
    assert isinstance(listed, list)
    for container in listed:
        assert container["State"] in ("running", "restarting"), (where, container)
        if container["State"] == "running":
            assert engine.inside(container["Id"], "true").code == 0, (where, container)
    for client in clients:
        client.faults.clear()  # any refusal was right
        client.calm = True
        for _ in range(ACTS):
            client.act()
        client.calm = False
        assert client.faults == [], f"{where}: {client.faults}\n{engine.log_tail()}"
    eventually(engine.has_no_trash)
    checked = engine.sampan("system", "check", timeout=120)
    assert checked.code == 0, f"{where}: {checked}\n{engine.log_tail()}"
