"""The power is cut under a load of everything, and the machine comes back: what was acknowledged is there, nothing is half made.

The data root is an ext4 of its own, which is shut down at a random instant without its journal or anything of the page cache being
written (FS_IOC_SHUTDOWN, as file systems test themselves: xfstests' `godown`). What was not synced is then lost, as by a power cut.
All processes of the engine are killed, the exec-root is emptied, as /run is by a boot, and the next mount replays the journal.
"""

import fcntl
import os
import random
import shutil
import signal
import struct
import time
from collections import Counter
from pathlib import Path

from tests import leaks, processes
from tests.daemons import Sampan
from tests.disks import Disk, sampan_on
from tests.mixed_load import Client, Load
from tests.waiting import eventually

CLIENTS = 3
SIZE = 512 << 20
_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN, `_IOR('X', 125, __u32)`."""
_NO_LOG_FLUSH = 2
_CONTROL, _UNSYNCED = "unsynced", b"x" * (1 << 20)
"""What must not be there after a cut."""


def cut(disk: Disk) -> None:
    """Nothing more is written, not even what waits."""
    descriptor = os.open(disk.place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(descriptor)


def die(engine: Sampan) -> None:
    """Every process of the engine is gone, programs in containers included."""
    engine.kill()

    def all_gone() -> bool:
        left = [one.pid for one in processes.holding_sockets_below(str(engine.directory))] + programs(engine)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    eventually(all_gone, "something of the engine lives on")


def boot(engine: Sampan, disk: Disk) -> Disk:
    """What lay in memory is gone; the file system is mounted, and a daemon started."""
    shutil.rmtree(engine.exec_root)
    mounted = disk.again()
    engine.start()
    return mounted


def programs(engine: Sampan) -> list[int]:
    """Processes in the control groups of the engine's containers."""
    found: list[int] = []
    for hierarchy in leaks.hierarchies():
        for group in Path(hierarchy, "docker").glob("*"):
            try:
                if os.getxattr(group, "trusted.sampan").decode() == engine.instance:
                    found += map(int, (group / "cgroup.procs").read_text().split())
            except OSError:
                continue  # it went, or is somebody else's
    return found


def strays(engine: Sampan) -> list[str]:
    """What lies in the data root and belongs to no container and no volume, and the reverse."""
    containers, volumes = _named(engine, "/containers/json?all=1", "Id"), _named(engine, "/volumes", "Name")
    found = []
    for kind, wanted in (("containers", containers), ("rw", containers), ("volumes", volumes)):
        there = {entry.name for entry in (engine.data_root / kind).iterdir() if not entry.name.startswith(".")}
        found += [f"{kind}/{name}" for name in sorted(there ^ wanted)]
    return found


def _named(engine: Sampan, path: str, member: str) -> set[str]:
    answer = engine.api("GET", path).json()
    rows = answer["Volumes"] if isinstance(answer, dict) else answer
    assert isinstance(rows, list)
    return {str(row[member]) for row in rows}


def power_cuts(cuts: int, seed: int, seconds: float = 6.0) -> Counter[str]:
    """The whole run: what was done and acknowledged, by kind. AssertionError names the seed."""
    dice = random.Random(seed)
    with sampan_on("ext4", size=SIZE) as (engine, disk):
        clients = [Client(engine, number, seed, "") for number in range(CLIENTS)]
        os.sync()
        for number in range(cuts):
            with Load(clients) as load:
                time.sleep(dice.uniform(seconds / 3, seconds))
                faults = load.faults
                (disk.place / _CONTROL).write_bytes(_UNSYNCED)
                cut(disk)
                load.end()
                die(engine)
            assert faults == [], faults
            for client in clients:
                client.faults.clear()
            disk = boot(engine, disk)
            control = disk.place / _CONTROL
            assert not control.exists() or control.read_bytes() != _UNSYNCED, "the cut lost nothing"
            where = f"seed {seed}, cut {number}"
            lost = [line for client in clients for line in client.lost()]
            assert lost == [], f"{where}: {lost}"
            checked = engine.sampan("system", "check", timeout=120)
            assert checked.code == 0, f"{where}: {checked}"
            stray = strays(engine)
            assert stray == [], f"{where}: {stray}"
        for client in clients:
            client.remove_all()
        done: Counter[str] = sum((client.done for client in clients), Counter())
        return done
