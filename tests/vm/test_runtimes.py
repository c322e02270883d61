"""crun and runc under the engine, where the host's control groups are ones that crun takes: pure v2, or pure v1."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Outcome, Sampan, running_sampan
from tests.user_namespaces import POOL
from tests.vm.conftest import V2
from tests.waiting import eventually

MB = 1 << 20
BOTH = pytest.mark.parametrize("name", ["debian-crun", "debian-runc"])
LIMIT = "/sys/fs/cgroup/memory.max" if V2 else "/sys/fs/cgroup/memory/memory.limit_in_bytes"
PROGRAM = (
    "id; pwd; grep -E 'Cap|Seccomp:|NoNew' /proc/self/status; ip -o addr | grep -c eth0; touch /x; echo err >&2; exit 7"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    named = {name: shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("crun", "runc")}
    flags = [word for name, path in named.items() for word in ("--add-runtime", f"debian-{name}={path}")]
    with running_sampan(*flags, *POOL) as started:
        started.load_busybox()
        yield started


def run(engine: Sampan, *words: str) -> Outcome:
    return engine.sampan("run", *words, timeout=240)


@BOTH
def test_a_container_lives_as_with_the_own_runtime(engine: Sampan, name: str) -> None:
    asked = ("--rm", "--user", "nobody", "-w", "/tmp", "--read-only", "--cap-drop", "CHOWN")
    own = run(engine, *asked, "busybox", "sh", "-c", PROGRAM)
    assert own.code == 7, own
    other = run(engine, "--runtime", name, *asked, "busybox", "sh", "-c", PROGRAM)
    assert other == own, (other, own)
    missing = run(engine, "--name", "box", "--runtime", name, "busybox", "nothing")
    # The command goes by the words, as Docker's does, and crun's are others than runc's.
    assert missing.code == (127 if name == "debian-runc" else 125), missing
    assert b"OCI runtime create failed: " in missing.err
    assert state(engine)["ExitCode"] == 127
    assert engine.sampan("rm", "box").code == 0
    assert run(engine, "-t", "--rm", "--runtime", name, "busybox", "tty").text == "/dev/pts/0"


@contextmanager
def box(engine: Sampan, name: str, *words: str) -> Iterator[None]:
    """A container `box` by the runtime `name`; afterwards neither engine nor runtime has anything of it."""
    started = run(engine, "-d", "--name", "box", "--runtime", name, *words)
    try:
        assert started.code == 0, started
        yield
    finally:
        engine.sampan("rm", "-f", "box", timeout=240)
    state = Path(engine.exec_root) / "oci"
    eventually(lambda: not list(state.iterdir()), "the runtime keeps what has ended")


def state(engine: Sampan) -> Any:
    shown = engine.api("GET", "/containers/box/json").json()
    assert isinstance(shown, dict)
    return shown["State"]


@BOTH
def test_exec_limits_pause_and_the_end(engine: Sampan, name: str) -> None:
    limits = ("-m", "64m", "--memory-swap", "64m", "--pids-limit", "30", "--cpus", "0.5")
    with box(engine, name, *limits, "busybox", "sleep", "1000"):
        assert engine.sampan("exec", "box", "cat", LIMIT, timeout=240).text == str(64 * MB)
        assert engine.sampan("exec", "-u", "nobody", "box", "id", "-u", timeout=240).text == "65534"
        assert engine.sampan("exec", "-i", "box", "cat", stdin=b"typed", timeout=240).out == b"typed"
        assert engine.sampan("exec", "box", "sh", "-c", "exit 4", timeout=240).code == 4
        assert engine.sampan("exec", "box", "nothing", timeout=240).code == 127
        assert engine.sampan("update", "-m", "80m", "--memory-swap", "80m", "box").code == 0
        assert engine.sampan("exec", "box", "cat", LIMIT, timeout=240).text == str(80 * MB)
        assert engine.sampan("pause", "box").code == 0
        assert state(engine)["Paused"] is True
        assert engine.sampan("unpause", "box").code == 0
        assert engine.sampan("kill", "box").code == 0
        assert engine.sampan("wait", "box").text == "137"


@BOTH
def test_more_memory_than_its_bound_ends_it(engine: Sampan, name: str) -> None:
    eats = ("sh", "-c", "x=a; while :; do x=$x$x; done")
    with box(engine, name, "-m", "16m", "--memory-swap", "16m", "busybox", *eats):
        assert engine.sampan("wait", "box", timeout=240).text == "137"
        assert state(engine)["OOMKilled"] is True


@BOTH
def test_stop_start_and_signals(engine: Sampan, name: str) -> None:
    program = "trap 'exit 5' TERM; trap 'echo heard' USR1; echo up; while :; do sleep 0.1; done"
    with box(engine, name, "busybox", "sh", "-c", program):
        eventually(lambda: engine.sampan("logs", "box").text == "up", "it says nothing")
        assert engine.sampan("kill", "-s", "USR1", "box").code == 0
        eventually(lambda: engine.sampan("logs", "box").text == "up\nheard", "the signal is not heard")
        assert engine.sampan("stop", "-t", "100", "box", timeout=240).code == 0
        assert state(engine)["ExitCode"] == 5
        assert engine.sampan("start", "box", timeout=240).code == 0
        assert engine.sampan("restart", "-t", "100", "box", timeout=240).code == 0
        eventually(lambda: engine.sampan("logs", "box").text == "up\nheard\nup\nup", "it is not started again")


@BOTH
def test_an_end_by_itself_is_followed_by_a_start(engine: Sampan, name: str) -> None:
    with box(engine, name, "--restart", "always", "busybox", "sleep", "1000"):
        first = state(engine)["Pid"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: state(engine)["Pid"] not in (0, first), "it is not started again")
        assert engine.api("GET", "/containers/box/json").json()["RestartCount"] == 1  # type: ignore[index]


@BOTH
def test_health_is_asked_by_an_exec_of_the_runtime(engine: Sampan, name: str) -> None:
    check = (
        "--health-cmd",
        "test -e /well",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
        "--health-timeout",
        "60s",
    )
    with box(engine, name, *check, "busybox", "sleep", "1000"):
        eventually(lambda: state(engine)["Health"]["Status"] == "unhealthy", "it is never asked", 240)
        assert engine.sampan("exec", "box", "touch", "/well", timeout=240).code == 0
        eventually(lambda: state(engine)["Health"]["Status"] == "healthy", "it does not get well", 240)


@BOTH
def test_what_they_cannot_do_is_refused_by_name(engine: Sampan, name: str) -> None:
    refused = run(engine, "--rm", "--runtime", name, "--userns", "auto", "busybox", "true")
    assert refused.code == 125, refused
    assert f"a user namespace is not implemented with the runtime {name}" in refused.err.decode()
