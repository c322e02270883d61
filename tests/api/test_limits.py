"""Each limit by its effect (see `tests/limits.py`), shortly; `./check long limits` takes its time."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import limits
from tests.api.scenes import Box
from tests.daemons import Sampan, refused_start, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "cgroup:memory", "cgroup:cpu", "cgroup:pids", "cgroup:blkio")


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


@requires("cgroup:cpuset")
def test_shares(engine: Sampan) -> None:
    limits.shares_divide_a_core(engine, 2)


def test_quota(engine: Sampan) -> None:
    limits.a_quota_holds(engine, 2)


@requires("losetup")
def test_rate_of_writing(engine: Sampan, tmp_path: Path) -> None:
    limits.a_rate_of_writing_holds(engine, tmp_path, 2)


@pytest.mark.parametrize("pid_mode", ["", "host"])
def test_fork_bomb(engine: Sampan, pid_mode: str) -> None:
    limits.a_fork_bomb_stops_at_its_limit(engine, pid_mode)


@requires("losetup", "cgroup:devices")
def test_device(engine: Sampan, tmp_path: Path) -> None:
    limits.a_device_that_was_not_given_cannot_be_opened(engine, tmp_path)


def test_memory(engine: Sampan) -> None:
    limits.memory_past_the_limit_is_killed(engine)


def test_a_control_file_by_its_own_name(engine: Sampan) -> None:
    """`--cgroup-conf`, which is an annotation to the API: here on pids.max, whose name is the same on v1 and v2."""
    outcome = engine.sampan(
        "run",
        "--rm",
        "--net",
        "none",
        "--cgroup-conf",
        "pids.max=3",
        "busybox",
        "sh",
        "-c",
        "true | true | true | true",
    )
    assert outcome.code != 0
    assert b"can't fork" in outcome.err
    outcome = engine.sampan("run", "--rm", "--net", "none", "busybox", "sh", "-c", "true | true | true | true")
    assert outcome.code == 0


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("cgroup.procs=1", "invalid control file 'cgroup.procs'"),
        ("devices.allow=a", "invalid control file 'devices.allow'"),
        ("memory/../x.y=1", "invalid control file"),
    ],
)
def test_what_is_no_limit_is_refused(engine: Sampan, pair: str, why: str) -> None:
    outcome = engine.sampan("create", "--cgroup-conf", pair, "busybox")
    assert outcome.code == 125
    assert why in outcome.err.decode()


def test_a_control_file_that_is_not_there_is_said_at_the_start(engine: Sampan) -> None:
    host = {"NetworkMode": "none", "Annotations": {"sampan.cgroup-conf.pids.nosuch": "1"}}
    box = Box(engine, "true", name="astray", host=host)
    answer = engine.api("POST", f"/containers/{box.id}/start")
    assert answer.status == 500
    assert b"pids.nosuch" in answer.body
    assert b"No such file" in answer.body


def test_limits_of_the_process_and_its_place_in_the_queue_of_the_killer(engine: Sampan) -> None:
    host = {
        "NetworkMode": "none",
        "OomScoreAdj": 321,
        "Ulimits": [{"Name": "nofile", "Soft": 60, "Hard": 70}, {"Name": "fsize", "Soft": 4096, "Hard": 4096}],
    }
    box = Box(engine, "sleep", "1000", host=host).start()
    pid = box.pid()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "321"
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (60, 70)
    outcome = engine.sampan("exec", box.id, "sh", "-c", "head -c 8192 /dev/zero >/tmp/big; wc -c </tmp/big")
    assert outcome.text.split()[-1] == "4096", outcome


@requires("cgroup:cpuset")
def test_a_set_of_processors(engine: Sampan) -> None:
    box = Box(engine, *limits.SPIN, host={"NetworkMode": "none", "CpusetCpus": "0"}).start()
    stat = Path(f"/proc/{box.pid()}/stat")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert stat.read_text().rpartition(")")[2].split()[36] == "0", "it runs on another processor"
    eventually(lambda: box.state()["Status"] == "running", "it does not run")


REAL_TIME = """
import os, time
os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
print("granted", flush=True)
while True:
    pass
"""


def test_real_time_is_given_from_above_and_no_more_of_it() -> None:
    """A tenth of a second in each. Where the kernel schedules no groups in real time the daemon does not start."""
    flags = ("--cpu-rt-period", "1000000", "--cpu-rt-runtime", "200000")
    if not list(Path("/sys/fs/cgroup").glob("cpu*/cpu.rt_runtime_us")):
        assert "daemon-scoped cpu-rt-period and cpu-rt-runtime are not" in refused_start(*flags)
        return
    host = {"NetworkMode": "none", "CapAdd": ["SYS_NICE"], "CpusetCpus": "0"}
    with running_sampan(*flags) as engine:
        granted = Box(
            engine, "python3", "-c", REAL_TIME, Image="host", host={**host, "CpuRealtimeRuntime": 100_000}
        ).start()
        eventually(lambda: granted.logs() == "granted\n", "it never was of the real-time class")
        before, began = limits.used(engine, granted), time.monotonic()
        time.sleep(2)
        share = (limits.used(engine, granted) - before) / 1e9 / (time.monotonic() - began)
        assert 0.08 < share < 0.15
        refused = Box(engine, "python3", "-c", REAL_TIME, Image="host", host=host).start()
        refused.ended(1)
        assert "PermissionError" in refused.logs()
        engine.remove_containers()
