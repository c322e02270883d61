"""Long runs: the engine neither grows nor slows down.

The mixed soak runs for SOAK_MINUTES (60) and writes its measurements to `.build/soak.txt` as it goes. Its first third warms up:
caches fill, the heap finds its size. From then on nothing may grow.
"""

import os
import time
from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median

import pytest

from bench import host, measures
from tests.daemons import Sampan, running_sampan
from tests.leaks import marked
from tests.mixed_load import Client, Load
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "busybox")

ROUNDS = 10
LIVES = 300
MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
EVERY = 60.0
AT_REST = 9
"""Processes of an engine without containers: daemon, launcher, two parked slots of three, and an exec's monitor."""
CLIENTS = 4
REPORT = Path(__file__).parents[2] / ".build" / "soak.txt"


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


@dataclass(frozen=True)
class Measured:
    """The engine at rest: nobody asks anything, and all containers are gone."""

    memory_kb: int
    """of daemon, launcher and all else of the engine, shared pages divided"""
    daemon_kb: int
    """of the daemon alone, what it shares with nobody"""
    processes: int
    descriptors: int
    threads: int
    """of the daemon, as is the one above"""
    mounts: int
    """in the host's namespace and the launcher's, without those that others have on the host"""
    marked: int
    """whatever on the host bears the instance's name: mounts, control groups, links, tables, processes"""
    database_kb: int
    data_root_files: int


def measured(engine: Sampan) -> Measured:
    assert engine.process is not None
    pid = engine.process.pid
    everyone = host.processes_of(pid, str(engine.directory))
    mine = str(engine.directory)
    return Measured(
        memory_kb=host.pss(everyone) // 1024,
        daemon_kb=_own_kb(pid),
        processes=len(everyone),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        mounts=sum((_mounts(one) - _others(mine)).total() for one in everyone if one == pid or _launches(one)),
        marked=len(marked(engine.instance, mine).things),
        database_kb=sum(path.stat().st_size for path in engine.data_root.glob("*.db*")) // 1024,
        data_root_files=sum(len(files) for _, _, files in os.walk(mine)),
    )


def _own_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def _mounts(pid: int | str) -> Counter[str]:
    """What is mounted in a process's namespace, without the numbers that each namespace gives anew (proc(5))."""
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return Counter(" ".join((*line.split()[3:5], line.partition(" - ")[2])) for line in lines)


def _others(mine: str) -> Counter[str]:
    return Counter({mount: count for mount, count in _mounts("self").items() if mine not in mount})


def _launches(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sampan-launcher")


def test_an_hour_at_full_load_leaves_the_engine_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # The daemon itself, and not one whose answers are written down.
    monkeypatch.setattr(Sampan, "answers", None)
    with running_sampan() as engine:
        engine.load_busybox()
        assert engine.process is not None
        pid, mark = engine.process.pid, str(engine.directory)
        clients = [Client(engine, number, 0, "", calm=True) for number in range(CLIENTS)]
        found: list[Measured] = []
        until = time.monotonic() + MINUTES * 60
        lines = [" ".join(field.name for field in fields(Measured))]
        with Load(clients) as load:
            while time.monotonic() < until:
                time.sleep(min(EVERY, MINUTES * 6))
                load.pause()
                lost = [line for client in clients for line in client.lost()]
                assert (load.faults, lost) == ([], [])
                for client in clients:
                    client.remove_all()
                engine.api("POST", "/build/prune?all=1")
                engine.api("POST", "/images/prune")
                # Slots that were made ready under load go again.
                eventually(lambda: len(host.processes_of(pid, mark)) <= AT_REST, "processes are left")
                # What was removed is freed behind the answer.
                eventually(engine.has_no_trash, "the trash is not emptied")
                found.append(measured(engine))
                done = sum(client.done.total() for client in clients)
                lines.append(f"{time.strftime('%H:%M:%S')} {done} done: " + " ".join(map(str, astuple(found[-1]))))
                REPORT.write_text("\n".join(lines) + "\n")
                load.go_on()
        flat(found)


ROOM = {"memory_kb": 0.03, "daemon_kb": 0.03, "database_kb": 0.1}
"""How much more of it, as a share, may be there in the last third than in the second; nothing of what is not named."""


def flat(found: list[Measured]) -> None:
    """The last third is as the second: what would grow for ever shows there."""
    third = len(found) // 3
    for field in fields(Measured):
        values = [getattr(one, field.name) for one in found]
        before, after = median(values[third : 2 * third]), median(values[2 * third :])
        assert after <= before * (1 + ROOM.get(field.name, 0)) + 2, (field.name, before, after)
