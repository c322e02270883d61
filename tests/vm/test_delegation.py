"""An ordinary user's engine to whom systemd delegates control groups: its limits do what they do under root's."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import SOURCE
from tests.ordinary import Lodging, Person, ordinary_user
from tests.vm.conftest import V2, shell
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(not V2, reason="no control groups v2 alone: systemd delegates none of v1's")

SECONDS = 240.0
SPIN = "while :; do :; done"


@pytest.fixture(scope="module")
def home() -> Iterator[Lodging]:
    """As docs/rootless.md says: `loginctl enable-linger`, `sampan rootless setup --systemd`."""
    # As an installed package has it: the user could not keep what is compiled, and compiling takes this machine a minute.
    shell(sys.executable, "-m", "compileall", "-q", str(SOURCE))
    with ordinary_user() as person:
        shell("loginctl", "enable-linger", person.name)
        person.run_directory = Path(f"/run/user/{person.uid}")
        manager = person.run_directory / "systemd/private"
        try:
            eventually(manager.exists, f"{person.name} has no systemd", SECONDS)
            engine = Lodging(person)
            done = person.sampan("rootless", "setup", "--quiet", "--systemd", "--network", "none", timeout=SECONDS)
            assert done.code == 0, (done, user_journal(person))
            engine.load_busybox()
            yield engine
            engine.remove_containers()
            stopped = person.execute("systemctl", "--user", "disable", "--now", "sampan.service", timeout=SECONDS)
            assert stopped.code == 0, stopped
        finally:
            shell("loginctl", "disable-linger", person.name)
            eventually(lambda: not manager.exists(), f"{person.name}'s systemd does not end", SECONDS)


def user_journal(person: Person) -> str:
    return shell("journalctl", "--no-pager", f"_UID={person.uid}", expect=None)


def delegated(engine: Lodging) -> list[str]:
    """The controllers that its groups have."""
    return engine.ok("run", "--rm", "busybox", "cat", "/sys/fs/cgroup/cgroup.controllers").split()


def test_it_is_told(home: Lodging) -> None:
    info = home.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert (info["CgroupDriver"], info["CgroupVersion"]) == ("cgroupfs", "2")
    assert (info["MemoryLimit"], info["PidsLimit"]) == (True, True)
    assert not any("memory limit" in line for line in info["Warnings"] or ())
    daemon = Path(f"/proc/{home.daemon_pid()}/cgroup").read_text().strip()
    assert f"/user@{home.person.uid}.service/app.slice/sampan.service" in daemon


def test_memory(home: Lodging) -> None:
    home.sampan(
        "run",
        "--name",
        "hungry",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "busybox",
        "sh",
        "-c",
        "x=a; while :; do x=$x$x; done",
        timeout=SECONDS,
    )
    assert home.ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "hungry") == "true 137"


def test_processes(home: Lodging) -> None:
    done = home.sampan(
        "run", "--rm", "--pids-limit", "3", "busybox", "sh", "-c", "true | true | true | true", timeout=SECONDS
    )
    assert b"can't fork" in done.err, done


def test_processor_time(home: Lodging) -> None:
    """A fifth of a processor by the kernel's count, over four seconds."""
    if "cpu" not in delegated(home):
        pytest.skip("this systemd does not delegate the controller cpu to users")
    home.ok("run", "-d", "--name", "spins", "--cpus", "0.2", "busybox", "sh", "-c", SPIN, timeout=SECONDS)
    before, began = used(home, "spins"), time.monotonic()
    time.sleep(4)
    share = (used(home, "spins") - before) / 1e9 / (time.monotonic() - began)
    assert share < 0.25


def used(engine: Lodging, name: str) -> int:
    told = engine.api("GET", f"/containers/{name}/stats?stream=0&one-shot=1").json()
    assert isinstance(told, dict)
    return int(told["cpu_stats"]["cpu_usage"]["total_usage"])


def test_pause_and_statistics(home: Lodging) -> None:
    home.ok("run", "-d", "--name", "counts", "busybox", "sh", "-c", SPIN, timeout=SECONDS)
    home.ok("pause", "counts")
    frozen = used(home, "counts")
    time.sleep(1)
    assert used(home, "counts") == frozen > 0
    home.ok("unpause", "counts")
    eventually(lambda: used(home, "counts") > frozen, "it does not go on", 30)
    assert int(home.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "counts")) == 1


def test_the_end_of_a_container_that_forks(home: Lodging) -> None:
    home.ok(
        "run", "-d", "--name", "forks", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do setsid sleep 1000 & done; wait"
    )
    pid = int(home.ok("inspect", "-f", "{{.State.Pid}}", "forks"))
    group = Path("/sys/fs/cgroup") / Path(f"/proc/{pid}/cgroup").read_text().strip().partition("::/")[2]
    eventually(lambda: len((group / "cgroup.procs").read_text().split()) == 6, "it does not fork", 30)
    home.ok("rm", "-f", "forks")
    assert not group.exists()
