"""Kills of daemon, launcher and monitors at random moments under a load of `run --rm`: nothing is left, and it goes on."""

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Self

from tests import processes
from tests.daemons import Sampan, running_sampan

CLIENTS = 3
VICTIMS = ("daemon", "launcher", "monitor")
CUT_OFF = {1, 125, 137, 255}
"""What the client says when its engine or monitor died under it."""


class Load:
    """Clients that run containers in a loop and note the exit codes."""

    def __init__(self, engine: Sampan) -> None:
        self.engine = engine
        self.codes: list[int] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def _client(self) -> None:
        while not self.stop.is_set():
            outcome = self.engine.docker("run", "--rm", "busybox", "sh", "-c", "exit 42", timeout=60)
            self.codes.append(outcome.code)

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def _kill_one(engine: Sampan, victim: str) -> str:
    if victim == "daemon":
        engine.kill()
        engine.start()
        return victim
    found = (processes.launchers if victim == "launcher" else processes.monitors)(str(engine.directory))
    for one in found[:1]:
        try:
            os.kill(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            return "nobody"
    return victim if found else "nobody"


def random_kills(kills: int, seed: int) -> None:
    """The whole run; raises AssertionError naming the seed."""
    dice = random.Random(seed)
    with running_sampan() as engine:  # whose end searches the host for what is left
        engine.load_busybox()
        killed: list[str] = []
        with Load(engine) as load:
            while len(killed) < kills:
                time.sleep(dice.uniform(0, 0.15))
                # A monitor lives for a moment only: what was killed least is looked for more often.
                rare = min(VICTIMS, key=killed.count)
                victim = _kill_one(engine, rare if dice.random() < 0.25 else dice.choice(VICTIMS))
                if victim != "nobody":
                    killed.append(victim)
        assert set(killed) == set(VICTIMS), f"seed {seed}: {Counter(killed)}"
        assert set(load.codes) <= CUT_OFF | {42}, f"seed {seed}: {sorted(set(load.codes))}"
        assert load.codes.count(42) > 0, f"seed {seed}: no container got through"
        _all_removed(engine, seed)
        assert engine.docker("run", "--rm", "busybox", "echo", "goes on").text == "goes on"


def _all_removed(engine: Sampan, seed: int) -> None:
    """Every container that was started goes with `--rm`; one that was only created stays, as with Docker."""
    deadline = time.monotonic() + 60
    while True:
        listed = engine.docker("ps", "-a", "--format", "{{.ID}} {{.State}}").text.splitlines()
        left = [line for line in listed if not line.endswith(" created")]
        if not left:
            return
        assert time.monotonic() < deadline, f"seed {seed}: still there: {left}"
        time.sleep(0.1)
