"""Control groups as scopes of systemd's, on v1 and v2: where they are, that limits hold and stay, that nothing is left."""

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from sampan.cgroups import scopes
from tests.api.scenes import Box
from tests.daemons import Sampan, running_sampan
from tests.vm.conftest import shell
from tests.waiting import eventually

MB = 1 << 20
LIMITS = {"NetworkMode": "none", "Memory": 64 * MB, "MemorySwap": 64 * MB, "NanoCpus": 500_000_000, "PidsLimit": 20}
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
FILES = (
    {"memory.max": str(64 * MB), "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "20"}
    if V2
    else {"memory.limit_in_bytes": str(64 * MB), "cpu.cfs_quota_us": "50000", "pids.max": "20"}
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    """A daemon that is told to use systemd, whatever the version."""
    with running_sampan("--exec-opt", "native.cgroupdriver=systemd") as started:
        started.load_busybox()
        yield started


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def unit_of(box: Box) -> str:
    return f"docker-{box.id}.scope"


def shown(box: Box, *names: str) -> list[str]:
    """Properties of its unit as systemd has them, in the order of `names`."""
    told = shell("systemctl", "show", unit_of(box), *(f"--property={name}" for name in names))
    found = dict(line.partition("=")[::2] for line in told.splitlines())
    return [found.get(name, "") for name in names]


def in_files(box: Box) -> dict[str, str]:
    found = {}
    for group in box.groups():
        found.update({name: (group / name).read_text().strip() for name in FILES if (group / name).exists()})
    return found


def test_a_container_is_a_scope_with_its_limits(engine: Sampan) -> None:
    info = engine.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert info["CgroupDriver"] == "systemd"
    box = Box(engine, "sleep", "1000", host=LIMITS).start()
    assert shown(box, "ActiveState", "Slice", "Delegate", "TasksMax") == ["active", "system.slice", "yes", "20"]
    assert shown(box, "MemoryMax" if V2 else "MemoryLimit", "CPUQuotaPerSecUSec") == [str(64 * MB), "500ms"]
    assert in_files(box) == FILES
    path = Path(f"/proc/{box.pid()}/cgroup").read_text()
    lines = [line for line in path.splitlines() if f"/system.slice/{unit_of(box)}" in line]
    assert len(lines) == len(path.splitlines())
    # What systemd writes when it writes again is the same.
    shell("systemctl", "daemon-reload")
    assert in_files(box) == FILES
    made = engine.sampan("exec", box.id, "sh", "-c", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk 2>&1; true")
    assert "not permitted" in made.text, "its device rules are gone"


def test_what_is_executed_in_it_stands_there_too(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host={"NetworkMode": "none", "CgroupnsMode": "host"}).start()
    told = engine.sampan("exec", box.id, "cat", "/proc/self/cgroup").text
    assert all(f"/system.slice/{unit_of(box)}" in line for line in told.splitlines()), told


def test_an_update_reaches_the_files_and_systemd(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host=LIMITS).start()
    answer = engine.api("POST", f"/containers/{box.id}/update", {"PidsLimit": 33, "NanoCpus": 250_000_000})
    assert answer.status == 200, answer.body
    assert shown(box, "TasksMax", "CPUQuotaPerSecUSec") == ["33", "250ms"]
    assert in_files(box)["pids.max"] == "33"
    shell("systemctl", "daemon-reload")
    assert in_files(box)["pids.max"] == "33"


def test_a_slice_of_the_users(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host={"NetworkMode": "none", "CgroupParent": "one-two.slice"}).start()
    assert shown(box, "Slice", "ControlGroup") == ["one-two.slice", f"/one.slice/one-two.slice/{unit_of(box)}"]
    for wrong in ("/one", "one", "a--b.slice"):
        body = {"Image": "busybox", "HostConfig": {"CgroupParent": wrong}}
        answer = engine.api("POST", "/containers/create", body)
        assert answer.status == 400
        assert b'cgroup-parent for systemd cgroup should be a valid slice named as \\"xxx.slice\\"' in answer.body


def test_its_end_is_the_scope_s_end(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host={"NetworkMode": "none"}).start()
    groups = box.groups()
    assert groups
    for _ in range(3):
        assert engine.api("POST", f"/containers/{box.id}/restart?t=0").status == 204
    assert shown(box, "ActiveState") == ["active"]
    box.remove()
    eventually(lambda: shown(box, "ActiveState", "LoadState") == ["inactive", "not-found"], "the unit stays")
    assert [group for group in groups if group.exists()] == []


def test_pause_oom_and_a_fork_bomb(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "while :; do :; done", host={"NetworkMode": "none"}).start()
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    stat = Path(f"/proc/{box.pid()}/stat")
    before = stat.read_text()
    time.sleep(1)
    assert stat.read_text() == before
    assert engine.api("POST", f"/containers/{box.id}/unpause").status == 204
    hungry = Box(
        engine, "sh", "-c", "x=a; while :; do x=$x$x; done", host={**LIMITS, "Memory": 16 * MB, "MemorySwap": 16 * MB}
    ).start()
    hungry.ended(137)
    assert hungry.state()["OOMKilled"] is True
    # However soon systemd has taken the group away.
    cause = hungry.state()["ExitCause"]
    assert isinstance(cause, dict)
    assert (cause["Kind"], cause["Memory"]["Victims"].split()[0], cause["Memory"]["Limit"]) == ("oom", "sh", 16 * MB)


def test_a_killed_daemon_leaves_it_and_the_next_one_has_it(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host={"NetworkMode": "none"}).start()
    pid = box.pid()
    engine.kill()
    engine.start("--exec-opt", "native.cgroupdriver=systemd")
    assert (box.pid(), box.state()["Running"]) == (pid, True)
    assert engine.sampan("exec", box.id, "echo", "here").text == "here"
    assert shown(box, "ActiveState") == ["active"]


@pytest.mark.parametrize(
    ("flags", "driver"),
    [((), "systemd" if V2 else "cgroupfs"), (("--exec-opt", "native.cgroupdriver=cgroupfs"), "cgroupfs")],
)
def test_which_it_is_by_default(flags: tuple[str, ...], driver: str) -> None:
    """Docker's choice: systemd where v2 is alone."""
    with running_sampan(*flags) as other:
        info = other.api("GET", "/info").json()
        assert isinstance(info, dict)
        assert info["CgroupDriver"] == driver
        other.load_busybox()
        box = Box(other, "sleep", "1000", host={"NetworkMode": "none"}).start()
        groups = box.groups()
        assert groups
        assert {group.name for group in groups} == {unit_of(box) if driver == "systemd" else box.id}


STARTERS, STARTS, HOGS = 4, 10, 6
CONNECTIONS = 200


def test_systemd_answers_every_first_question_while_it_reloads() -> None:
    """Where it is busy, greeting and question lie there together when it comes to them."""
    ended = threading.Event()

    def reload_again_and_again() -> None:
        while not ended.is_set():
            shell("systemctl", "daemon-reload")

    with ThreadPoolExecutor(STARTERS + 1) as threads:
        threads.submit(reload_again_and_again)
        try:
            told = list(threads.map(lambda _: scopes.trouble(), range(CONNECTIONS)))
        finally:
            ended.set()
    assert told == [""] * CONNECTIONS


def test_many_starts_on_a_machine_that_is_busy(engine: Sampan) -> None:
    """None fails, and none waits for much longer than the processors are away."""

    def start_some(_: int) -> list[float]:
        took = []
        for _ in range(STARTS):
            box = Box(engine, "sleep", "1000", host={"NetworkMode": "none"})
            began = time.monotonic()
            box.start()
            took.append(time.monotonic() - began)
            box.remove()
        return took

    with ExitStack() as hogs:
        for _ in range(HOGS):
            hog = hogs.enter_context(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
            hogs.callback(hog.kill)
        with ThreadPoolExecutor(STARTERS) as threads:
            took = sorted(itertools.chain(*threads.map(start_some, range(STARTERS))))
    print(f"{len(took)} starts beside {HOGS} hogs: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    assert len(took) == STARTERS * STARTS
    assert took[-1] < 30
