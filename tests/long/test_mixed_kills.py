"""Two thousand kills of daemon, launcher and monitors under a load of everything: nothing acknowledged is lost, nothing stays.

KILLS sets how many (2000), SEED repeats a run's kills. Every hundred kills all clients stop, and what they were told is compared
with what is there. The report is written to `.build/mixed-kills.txt` as it goes.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import processes
from tests.archives import Layer, docker_archive
from tests.daemons import Sampan, running_sampan
from tests.mixed_load import Client, Load
from tests.registries import running_registry
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "docker-registry"), pytest.mark.crash]

KILLS = int(os.environ.get("KILLS", "2000"))
ROUND = 100
CLIENTS = 4
REPORT = Path(__file__).parents[2] / ".build" / "mixed-kills.txt"


def kill_one(engine: Sampan, dice: random.Random) -> str:
    """Who was killed; "" where there was nobody of that kind."""
    victim = dice.choice(("daemon", "launcher", "monitor", "monitor", "resolver"))
    if victim == "daemon":
        engine.kill()
        engine.start()
        return victim
    below = str(engine.directory)
    if victim == "launcher":
        found = processes.launchers(below)
    elif victim == "monitor":
        found = processes.monitors(below)
    else:
        found = [one for one in processes.holding_sockets_below(below) if one.title.startswith("sampan-net")]
    if not found:
        return ""
    try:
        os.kill(dice.choice(found).pid, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    return victim


@contextmanager
def report() -> Iterator[list[str]]:
    """Lines, written out at each one."""

    class Lines(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            REPORT.write_text("\n".join(self) + "\n")

    yield Lines()


def test_two_thousand_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a daemon writes down as it is killed is no line.
    monkeypatch.setattr(Sampan, "answers", None)
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)
    with report() as lines, running_registry(tmp_path / "registry") as registry, running_sampan() as engine:
        engine.load_busybox()
        put_there(engine, registry.address)
        clients = [Client(engine, number, seed, registry.address) for number in range(CLIENTS)]
        lines.append(f"seed {seed}, {KILLS} kills, {CLIENTS} clients")
        killed: Counter[str] = Counter()
        with Load(clients) as load:
            while killed.total() < KILLS:
                time.sleep(dice.uniform(0, 0.25))
                if victim := kill_one(engine, dice):
                    killed[victim] += 1
                if victim and killed.total() % ROUND == 0:
                    load.pause()
                    lines.append(state(engine, clients, killed))
                    check(engine, clients, load)
                    load.go_on()
        for client in clients:
            client.remove_all()
        check(engine, clients, load)
        assert {"daemon", "launcher", "monitor"} <= set(killed)


def put_there(engine: Sampan, registry: str) -> None:
    """An image for pulls."""
    layer = Layer()
    layer.file("there", b"x" * 100_000)
    name = f"{registry}/there:latest"
    assert engine.api("POST", "/images/load", docker_archive(name, [layer.tar()], {})).status == 200
    pushed = engine.api("POST", f"/images/{registry}/there/push?tag=latest", headers={"X-Registry-Auth": "e30="})
    assert b"errorDetail" not in pushed.body, pushed.body
    assert engine.api("DELETE", f"/images/{name}").status == 200


def state(engine: Sampan, clients: list[Client], killed: Counter[str]) -> str:
    done: Counter[str] = sum((client.done for client in clients), Counter())
    cut = sum(client.cut_off for client in clients)
    return f"{time.strftime('%H:%M:%S')} killed {dict(killed)}; done {dict(done)}; cut off {cut}"


def stuck(engine: Sampan) -> list[str]:
    listed = engine.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").text.splitlines()
    return [line for line in listed if line.split()[-1] in ("removing", "dead", "restarting")]


def check(engine: Sampan, clients: list[Client], load: Load) -> None:
    """Nothing acknowledged is lost, nobody is stuck, and the store is clean."""
    assert load.faults == [], "\n".join(load.faults[:20])
    lost = [line for client in clients for line in client.lost()]
    assert lost == [], lost
    eventually(lambda: stuck(engine) == [], "some container hangs between two states")
    checked = engine.sampan("system", "check", timeout=120)
    assert checked.code == 0, checked
