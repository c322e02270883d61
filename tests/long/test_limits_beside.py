"""Limits out of range, at a create and at an update: the status and the words of Docker's newest release, asked in the same run."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemons import Daemon, Sampan, running_sampan
from tests.long.newest import running_newest_docker
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "mmdebstrap", "busybox", "cgroup_v1:memory")

MB = 1 << 20
BOTH: list[dict[str, Any]] = [
    {"Memory": 5 * MB},
    {"Memory": -5},
    {"Memory": 64 * MB, "MemorySwap": 32 * MB},
    {"MemorySwap": -2, "Memory": 64 * MB},
    {"MemoryReservation": 1},
    {"Memory": 64 * MB, "MemoryReservation": 128 * MB},
    {"NanoCpus": -1},
    {"NanoCpus": 10**12},
    {"NanoCpus": 10**9, "CpuPeriod": 1000},
    {"NanoCpus": 10**9, "CpuQuota": 1000},
    {"CpuPeriod": 1},
    {"CpuPeriod": 2_000_000},
    {"CpuPeriod": -1},
    {"CpuQuota": 1},
    {"CpuQuota": -1},
    {"CpuQuota": -5},
    {"CpusetCpus": "99"},
    {"CpusetCpus": "a"},
    {"CpusetCpus": "1-0"},
    {"CpusetCpus": "0,,"},
    {"CpusetCpus": " 0"},
    {"CpusetCpus": "0-0"},
    {"CpusetCpus": "9999999"},
    {"CpusetMems": "7"},
    {"CpusetMems": "x"},
    {"PidsLimit": -5},
    {"PidsLimit": 0},
    {"KernelMemory": MB},
    {"ShmSize": -1},
    {"IOMaximumIOps": 1},
    {"IOMaximumBandwidth": 1},
]
"""What is answered alike, whatever is asked for it."""
AT_A_CREATE: list[dict[str, Any]] = [
    {"MemorySwap": 5 * MB},
    {"MemorySwappiness": 101},
    {"MemorySwappiness": -2},
    {"CpuShares": -1},
    {"CpuRealtimePeriod": 10, "CpuRealtimeRuntime": 95},
    {"OomScoreAdj": 1001},
    {"CgroupnsMode": "x"},
    {"CpuPercent": 5},
]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Daemon, Daemon]]:
    with running_sampan() as sampan, running_newest_docker() as docker:
        sampan.load_busybox()
        docker.load_busybox()
        yield sampan, docker


@pytest.mark.parametrize("limits", [*BOTH, *AT_A_CREATE], ids=json.dumps)
def test_a_create(both: tuple[Daemon, Daemon], limits: dict[str, Any]) -> None:
    ours, theirs = (created(engine, limits) for engine in both)
    assert ours == theirs


@pytest.mark.parametrize("limits", BOTH, ids=json.dumps)
def test_an_update(both: tuple[Daemon, Daemon], limits: dict[str, Any]) -> None:
    ours, theirs = (updated(engine, limits) for engine in both)
    assert ours == theirs


@pytest.mark.parametrize(("shares", "word"), [(1, "minimum"), (300_000, "maximum")])
def test_shares_are_refused_at_the_start(both: tuple[Daemon, Daemon], shares: int, word: str) -> None:
    """By runc behind Docker, by the plan here: around the same words each has his own."""
    for engine in both:
        status, _, start, text = created(engine, {"CpuShares": shares})
        assert (status, start) == (201, 500), type(engine)
        assert f"the {word} allowed cpu-shares is" in text
        status, text = updated(engine, {"CpuShares": shares})
        assert status == 500
        assert f"the {word} allowed cpu-shares is" in text


def created(engine: Daemon, limits: dict[str, Any]) -> tuple[int, object, int, str]:
    """Status and answer of a create, and where there is something to start, of its start."""
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", **limits}}
    answer = engine.api("POST", "/containers/create", body)
    told = json.loads(answer.body)
    if answer.status != 201:
        return answer.status, told, 0, ""
    start = engine.api("POST", f"/containers/{told['Id']}/start")
    engine.api("DELETE", f"/containers/{told['Id']}?force=1")
    return answer.status, told["Warnings"], start.status, start.body.decode()


def updated(engine: Daemon, limits: dict[str, Any]) -> tuple[int, str]:
    """Status and answer of an update of a container that runs without limits."""
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    identifier = json.loads(engine.api("POST", "/containers/create", body).body)["Id"]
    assert engine.api("POST", f"/containers/{identifier}/start").status == 204
    answer = engine.api("POST", f"/containers/{identifier}/update", limits)
    engine.api("DELETE", f"/containers/{identifier}?force=1")
    return answer.status, answer.body.decode().replace(identifier, "ID")


def test_the_peers_are_what_they_are_taken_for(both: tuple[Daemon, Daemon]) -> None:
    assert isinstance(both[0], Sampan)
    told = both[1].api("GET", "/version").json()
    assert isinstance(told, dict)
    assert told["ApiVersion"] == "1.51"
