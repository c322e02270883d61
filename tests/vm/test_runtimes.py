"""crun and runc under the engine, where the host's control groups are ones that crun takes: pure v2, or pure v1."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan, running_sampan
from tests.vm.conftest import V2
from tests.waiting import eventually

MB = 1 << 20
LIMIT = "/sys/fs/cgroup/memory.max" if V2 else "/sys/fs/cgroup/memory/memory.limit_in_bytes"
PROGRAM = (
    "id; pwd; grep -E 'Cap|Seccomp:|NoNew' /proc/self/status; ip -o addr | grep -c eth0; touch /x; echo err >&2; exit 7"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    named = {name: shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("crun", "runc")}
    flags = [word for name, path in named.items() for word in ("--add-runtime", f"debian-{name}={path}")]
    with running_sampan(*flags) as started:
        started.load_busybox()
        yield started


def run(engine: Sampan, *words: str) -> Outcome:
    return engine.sampan("run", *words, timeout=240)


@pytest.mark.parametrize("name", ["debian-crun", "debian-runc"])
def test_a_container_lives_as_with_the_own_runtime(engine: Sampan, name: str) -> None:
    asked = ("--rm", "--user", "nobody", "-w", "/tmp", "--read-only", "--cap-drop", "CHOWN")
    own = run(engine, *asked, "busybox", "sh", "-c", PROGRAM)
    assert own.code == 7, own
    assert run(engine, "--runtime", name, *asked, "busybox", "sh", "-c", PROGRAM) == own
    missing = run(engine, "--rm", "--runtime", name, "busybox", "nothing")
    assert missing.code == 127, missing
    assert b"OCI runtime create failed: " in missing.err
    assert run(engine, "-t", "--rm", "--runtime", name, "busybox", "tty").text == "/dev/pts/0"


@pytest.mark.parametrize("name", ["debian-crun", "debian-runc"])
def test_exec_limits_pause_and_the_end(engine: Sampan, name: str) -> None:
    started = run(engine, "-d", "--name", "box", "--runtime", name, "-m", "64m", "busybox", "sleep", "1000")
    assert started.code == 0, started
    try:
        assert engine.sampan("exec", "box", "cat", LIMIT, timeout=240).text == str(64 * MB)
        assert engine.sampan("exec", "-u", "nobody", "box", "id", "-u", timeout=240).text == "65534"
        assert engine.sampan("update", "-m", "80m", "--memory-swap", "80m", "box").code == 0
        assert engine.sampan("exec", "box", "cat", LIMIT, timeout=240).text == str(80 * MB)
        assert engine.sampan("pause", "box").code == 0
        assert engine.sampan("unpause", "box").code == 0
        assert engine.sampan("kill", "box").code == 0
        assert engine.sampan("wait", "box").text == "137"
    finally:
        engine.sampan("rm", "-f", "box", timeout=240)
    state = Path(engine.exec_root) / "oci"
    eventually(lambda: not list(state.iterdir()), "the runtime keeps what has ended")
