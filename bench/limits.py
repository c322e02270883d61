"""What control groups add: all limits to a start, and one reading of what a container uses to a request."""

import json
import os
import time
from pathlib import Path

from bench.measures import PAUSE, running
from bench.samples import Samples
from bench.wire import Wire
from tests.daemons import Daemon

MEGABYTE = 1 << 20


def all_limits() -> dict[str, object]:
    """Each option of `docker run` that limits, where this host has a disk to limit."""
    disks = [f"/dev/{name}" for name in sorted(os.listdir("/sys/block")) if Path(f"/dev/{name}").is_block_device()][:1]
    rates = [{"Path": disk, "Rate": 100 * MEGABYTE} for disk in disks]
    return {
        "Memory": 256 * MEGABYTE,
        "MemorySwap": 256 * MEGABYTE,
        "MemoryReservation": 128 * MEGABYTE,
        "CpuShares": 512,
        "CpuPeriod": 100_000,
        "CpuQuota": 150_000,
        "CpusetCpus": "0",
        "CpusetMems": "0",
        "PidsLimit": 100,
        "BlkioDeviceReadBps": rates,
        "BlkioDeviceWriteBps": rates,
        "BlkioDeviceReadIOps": rates,
        "BlkioDeviceWriteIOps": rates,
        "DeviceCgroupRules": ["c 10:200 rwm", "b 7:* r"],
    }


def starts(engine: Daemon, repetitions: int) -> tuple[Samples, Samples]:
    """(without a limit, with all of them): what a start takes, one of each kind by turns; the first three of each warm up."""
    wire = Wire(str(engine.socket))
    kinds: tuple[dict[str, object], ...] = ({}, all_limits())
    taken: tuple[list[float], ...] = ([], [])
    for _ in range(repetitions + 3):
        for kind, found in zip(kinds, taken, strict=True):
            host = {"NetworkMode": "none", **kind}
            body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
            path = f"/containers/{json.loads(wire.good('POST', '/containers/create', body))['Id']}"
            time.sleep(PAUSE)
            began = time.perf_counter()
            wire.good("POST", f"{path}/start")
            found.append(time.perf_counter() - began)
            wire.good("POST", f"{path}/wait")
            wire.good("DELETE", path)
    wire.close()
    plain, limited = (Samples(tuple(found[3:])) for found in taken)
    return plain, limited


def readings(engine: Daemon, repetitions: int) -> tuple[Samples, Samples]:
    """(a ping, one container's stats of the moment) by turns on one connection."""
    wire = Wire(str(engine.socket))
    with running(engine, 1, "bridge") as (container,):
        paths = ("/_ping", f"/containers/{container}/stats?stream=0&one-shot=1")
        taken: tuple[list[float], ...] = ([], [])
        for _ in range(repetitions + 3):
            for path, found in zip(paths, taken, strict=True):
                began = time.perf_counter()
                wire.good("GET", path)
                found.append(time.perf_counter() - began)
    wire.close()
    ping, stats = (Samples(tuple(found[3:])) for found in taken)
    return ping, stats
