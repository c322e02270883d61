"""`docker update` on real containers: at once where they run, kept for every later run, and all or nothing."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.api.scenes import Box
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client", "cgroup:memory", "cgroup:cpu", "cgroup:pids")

MB = 1 << 20


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def up(engine: Sampan, name: str, **host: object) -> Box:
    return Box(engine, "sleep", "1000", name=name, host={"NetworkMode": "none", **host}).start()


def value(box: Box, v1: str, v2: str) -> str:
    """What stands in the control file of a container, in the tree that has it here."""
    found = [group / name for group in box.groups() for name in {v1, v2} if (group / name).exists()]
    assert len(found) == 1, found
    return found[0].read_text().strip()


def limits(box: Box) -> dict[str, str]:
    return {
        "shares": value(box, "cpu.shares", "cpu.weight"),
        "pids": value(box, "pids.max", "pids.max"),
        "memory": value(box, "memory.limit_in_bytes", "memory.max"),
    }


def host_config(box: Box) -> dict[str, Any]:
    found = box.inspect()["HostConfig"]
    assert isinstance(found, dict)
    return found


def update(engine: Sampan, box: str, body: object, status: int = 200, version: str = "") -> Any:
    answer = engine.api("POST", f"{version}/containers/{box}/update", body)
    assert answer.status == status, answer.body
    return answer.json()


def test_limits_bite_at_once_and_are_kept(engine: Sampan) -> None:
    box = up(engine, "grows", Memory=32 * MB, PidsLimit=20)
    v1 = any((group / "cpu.shares").exists() for group in box.groups())
    outcome = engine.docker(
        *(
            "update",
            "--memory",
            "64m",
            "--memory-swap",
            "128m",
            "--pids-limit",
            "30",
            "--cpu-shares",
            "2",
            "--cpus",
            "0.5",
        ),
        *("--cpuset-cpus", "0", "--restart", "on-failure:4", "grows"),
    )
    assert (outcome.code, outcome.text) == (0, "grows"), outcome
    wanted = {"shares": "2" if v1 else "1", "pids": "30", "memory": str(64 * MB)}
    assert limits(box) == wanted
    assert "".join(value(box, "cpu.cfs_quota_us", "cpu.max").split()) in ("50000", "50000100000")
    assert value(box, "cpuset.cpus", "cpuset.cpus") == "0"
    after = host_config(box)
    told = ("Memory", "MemorySwap", "PidsLimit", "CpuShares", "NanoCpus", "CpusetCpus", "RestartPolicy")
    assert {name: after[name] for name in told} == {
        "Memory": 64 * MB, "MemorySwap": 128 * MB, "PidsLimit": 30, "CpuShares": 2, "NanoCpus": 500_000_000, "CpusetCpus": "0",
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
    }  # fmt: skip
    assert engine.docker("restart", "-t", "0", "grows").code == 0
    assert limits(box) == wanted


def test_a_fork_that_was_allowed_is_refused_after_it(engine: Sampan) -> None:
    box = up(engine, "forks")
    assert box.run("sh", "-c", "true; true | true; echo fine") == "fine"
    update(engine, box.id, {"PidsLimit": 2})
    assert engine.docker("exec", "forks", "sh", "-c", "true | true | true; true").code != 0
    update(engine, box.id, {"PidsLimit": -1})
    assert host_config(box)["PidsLimit"] == 0
    assert value(box, "pids.max", "pids.max") == "max"
    assert box.run("sh", "-c", "true | true; echo fine") == "fine"


def test_a_paused_and_a_stopped_one(engine: Sampan) -> None:
    box = up(engine, "sleepy")
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    update(engine, "sleepy", {"PidsLimit": 33})
    assert value(box, "pids.max", "pids.max") == "33"
    made = Box(engine, "sleep", "1000", name="made", host={"NetworkMode": "none"})
    update(engine, "made", {"PidsLimit": 44})
    assert host_config(made)["PidsLimit"] == 44
    made.start()
    assert value(made, "pids.max", "pids.max") == "44"


def test_where_the_kernel_refuses_nothing_has_changed(engine: Sampan) -> None:
    """Memory that is in use cannot be taken away: v1 says so. v2 would kill, so a processor's quota is asked for there."""
    box = up(engine, "full", Memory=64 * MB)
    before, kept = limits(box), host_config(box)
    # A quota of 10 microseconds is below what the kernel takes (1 ms), and Docker's own check lets it pass.
    answer = update(engine, "full", {"PidsLimit": 5, "CpuShares": 7, "NanoCpus": 100_000}, 500)
    assert answer["message"].startswith(f"Cannot update container {box.id}: failed to write '10")
    assert limits(box) == before
    assert host_config(box) == kept


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"Memory": 5 * MB}, 400, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 9 * MB, "MemorySwap": 8 * MB}, 400, "Minimum memoryswap limit should be larger than memory limit"),
        (
            {"Memory": 80 * MB},
            409,
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap",
        ),
        ({"CpuQuota": 500}, 400, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            {"NanoCpus": 10**9, "CpuPeriod": 5000},
            400,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        ({"CpuQuota": 5000}, 409, "CPU Quota cannot be updated as NanoCPUs has already been set"),
        ({"CpusetCpus": "4000"}, 400, "Requested CPUs are not available - requested 4000"),
        ({"RestartPolicy": {"Name": "sometimes"}}, 400, "invalid restart policy: unknown policy 'sometimes'"),
        ({"RestartPolicy": {"Name": "always"}}, 409, "because AutoRemove is enabled for the container"),
        ({"CpuShares": 300000}, 500, "the maximum allowed cpu-shares is 262144"),
        ({"IOMaximumIOps": 1}, 400, "Invalid QoS settings: linux does not support Maximum IO Bandwidth"),
        ({"BlkioWeight": 5}, 400, "Range of blkio weight is from 10 to 1000"),
        ({"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 5}]}, 400, "Ulimits cannot be changed by an update"),
        ({"CgroupParent": "elsewhere"}, 400, "CgroupParent cannot be changed by an update"),
        ({"Memory": "much"}, 400, "invalid JSON"),
        (None, 400, "invalid JSON: got EOF while reading request body"),
    ],
)
@requires("cgroup_v1:blkio")
def test_refusals(engine: Sampan, body: object, status: int, why: str) -> None:
    box = up(engine, "firm", Memory=32 * MB, MemorySwap=64 * MB, NanoCpus=10**9, AutoRemove=True)
    before = limits(box), host_config(box)
    assert why in update(engine, "firm", body, status)["message"]
    assert (limits(box), host_config(box)) == before
    assert update(engine, "nosuch", {"PidsLimit": 5}, 404)["message"] == "No such container: nosuch"


def test_what_a_client_sends_back_unchanged_asks_for_nothing(engine: Sampan) -> None:
    box = up(engine, "mirror", Memory=32 * MB, Ulimits=[{"Name": "nofile", "Soft": 500, "Hard": 500}])
    before = host_config(box)
    assert update(engine, "mirror", before) == {"Warnings": None}
    assert host_config(box) == before


@requires("cgroup_v1:blkio")
def test_weight_of_block_io_at_create_and_later(engine: Sampan) -> None:
    box = up(engine, "heavy", BlkioWeight=300)
    assert value(box, "blkio.bfq.weight", "io.bfq.weight").endswith("300")
    assert engine.docker("update", "--blkio-weight", "400", "heavy").text == "heavy"
    assert value(box, "blkio.bfq.weight", "io.bfq.weight").endswith("400")
    assert host_config(box)["BlkioWeight"] == 400


def test_versions_of_the_api(engine: Sampan) -> None:
    box = up(engine, "old", PidsLimit=20)
    update(engine, "old", {"PidsLimit": 5}, version="/v1.39")
    assert host_config(box)["PidsLimit"] == 20
    warnings = update(engine, "old", {"KernelMemory": 64 * MB}, version="/v1.41")["Warnings"]
    assert [warning for warning in warnings if "kernel memory" in warning]
    assert update(engine, "old", {"KernelMemory": 64 * MB})["Warnings"] is None


def test_a_new_restart_policy_is_followed(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "sleep 0.5; exit 3", name="again", host={"NetworkMode": "none"}).start()
    update(engine, "again", {"RestartPolicy": {"Name": "always"}})
    eventually(lambda: box.inspect()["RestartCount"] > 0, "it is not restarted")
    update(engine, "again", {"RestartPolicy": {"Name": "no"}})
    box.ended(3)


def test_docker_py_and_events(engine: Sampan) -> None:
    box = up(engine, "python")
    client = docker.from_env(environment={"DOCKER_HOST": engine.host})
    try:
        container = client.containers.get("python")
        assert container.update(cpu_shares=512, mem_limit="64m", memswap_limit="64m") == {"Warnings": None}
    finally:
        client.close()
    assert (host_config(box)["CpuShares"], host_config(box)["Memory"]) == (512, 64 * MB)
    until = str(int(time.time()) + 1)
    told = engine.docker("events", "--since", "1", "--until", until, "-f", "event=update", "--format", "{{.Actor.ID}}")
    assert box.id in told.text.split()


@requires("docker-client:28")
def test_sampans_own_command(engine: Sampan) -> None:
    box = up(engine, "own")
    outcome = engine.sampan(
        "update", "--cpus", "0.25", "--pids-limit", "9", "--restart", "unless-stopped", "own", "nosuch"
    )
    assert (outcome.code, outcome.text) == (1, "own")
    assert outcome.err == b"Error response from daemon: No such container: nosuch\n"
    found = host_config(box)
    assert (found["NanoCpus"], found["PidsLimit"], found["RestartPolicy"]["Name"]) == (250_000_000, 9, "unless-stopped")
    for words in (["own"], ["--restart", "on-failure:x", "own"], ["--cpu-quota", "50000", "own"]):
        ours, theirs = engine.sampan("update", *words), engine.docker("update", *words)
        assert (ours.code, ours.out, ours.err) == (theirs.code, theirs.out, theirs.err)


def test_the_next_daemon_knows() -> None:
    with running_sampan() as sampan:
        sampan.load_busybox()
        box = up(sampan, "kept", PidsLimit=20)
        update(sampan, "kept", {"PidsLimit": 21, "RestartPolicy": {"Name": "always"}})
        sampan.kill()
        sampan.start()
        found = host_config(box)
        assert (found["PidsLimit"], found["RestartPolicy"]["Name"]) == (21, "always")
        record = json.loads(Path(sampan.exec_root, "containers", box.id, "record.json").read_text())
        assert record["id"] == box.id
        update(sampan, "kept", {"PidsLimit": 22})
        assert value(box, "pids.max", "pids.max") == "22"
