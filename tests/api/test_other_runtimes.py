"""Containers made by another OCI runtime (`--runtime`): the same life as with Sampan's own, in Docker's words where it fails."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sampan.daemon import reaper
from tests.daemons import Sampan, entry_point, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client", "runc", "netns", "nftables")

CHAIN = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
LIAR = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --pid-file) printf 1 > "$2" ;;
        --log) log=$2 ;;
        {command}) {does} ;;
    esac
    shift
done
"""


def flags(directory: Path) -> list[str]:
    """Debian's runc, a runtime that is not there, and two scripts: one that lies and one that fails."""
    for name, command, does in (
        ("liar", "nothing", ":"),
        ("grumbler", "create", """printf '{"level":"error","msg":"no mood for it"}\\n' > "$log"; exit 1"""),
    ):
        script = directory / name
        script.write_text(LIAR.format(command=command, does=does))
        script.chmod(0o755)
    named = {
        "debian": str(shutil.which("runc") or "/usr/sbin/runc"),
        "gone": "/nowhere/at/all",
        "liar": str(directory / "liar"),
        "grumbler": str(directory / "grumbler"),
        "own": str(Path(entry_point("sampan-oci")[0])),
    }
    return [word for name, path in named.items() for word in ("--add-runtime", f"{name}={path}")]


@pytest.fixture(scope="module")
def sampan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampan]:
    with running_sampan(*flags(tmp_path_factory.mktemp("runtimes"))) as engine:
        engine.load_busybox()
        yield engine


def state(engine: Sampan, name: str) -> dict[str, Any]:
    shown = engine.api("GET", f"/containers/{name}/json").json()
    assert isinstance(shown, dict)
    found: dict[str, Any] = shown["State"]
    return found


def kept(engine: Sampan) -> list[str]:
    """What other runtimes keep of containers."""
    return sorted(os.listdir(engine.exec_root / "oci"))


PROGRAM = (
    "id; pwd; hostname -f; cat /proc/sys/net/ipv4/ip_default_ttl; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
    "grep -E 'Cap|Seccomp:|NoNew' /proc/self/status; ls /dev; test -e /.dockerenv; echo $?; touch /x; touch /t/x; echo $?; "
    "grep -c . /etc/resolv.conf; ip -o addr | grep -c eth0; head -c1 /proc/kcore | wc -c; ulimit -n; echo err >&2; exit 7"
)
ASKED = [
    *("--user", "nobody", "--workdir", "/tmp", "--hostname", "named", "--domainname", "dom.example", "--read-only"),
    *("--tmpfs", "/t:size=1m,mode=1777", "--sysctl", "net.ipv4.ip_default_ttl=77", "--ulimit", "nofile=100:200"),
    *("--cap-drop", "CHOWN", "--security-opt", "no-new-privileges", "--group-add", "77", "--ip", "10.77.0.9"),
]


@pytest.mark.parametrize("name", ["debian", "own"])
def test_a_program_sees_what_it_sees_with_the_own_runtime(sampan: Sampan, name: str) -> None:
    assert sampan.docker("network", "create", "--subnet", "10.77.0.0/24", "net").code == 0
    try:
        seen = [
            sampan.docker("run", "--rm", "--net", "net", *ASKED, *runtime, "busybox", "sh", "-c", PROGRAM)
            for runtime in ([], ["--runtime", name])
        ]
        assert seen[0].code == 7, seen[0]
        assert seen[1] == seen[0]
        eventually(lambda: kept(sampan) == [])
    finally:
        sampan.docker("network", "rm", "net")


def test_what_is_read_only_is_so_down_to_what_is_mounted_below(sampan: Sampan, tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "file").touch()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", below], check=True)
    try:
        binds = ("-v", f"{tmp_path}:/v:ro", "-v", f"{tmp_path}/file:/f:ro")
        script = "touch /v/x /v/below/x /f 2>&1; ls /v/below | wc -l"
        done = sampan.docker("run", "--rm", "--runtime", "debian", *binds, "busybox", "sh", "-c", script)
        *refused, count = done.text.splitlines()
        assert (len(refused), count) == (3, "0"), done
        assert all("Read-only file system" in line for line in refused), done
    finally:
        subprocess.run(["umount", below], check=True)


def test_input_terminal_and_exec(sampan: Sampan) -> None:
    run = ("run", "--rm", "--runtime", "debian")
    assert sampan.docker(*run, "-i", "busybox", "cat", stdin=b"typed\n").text == "typed"
    assert sampan.docker(*run, "-t", "busybox", "tty").text == "/dev/pts/0"
    assert sampan.docker("run", "-d", "--runtime", "debian", "--name", "long", "busybox", "sleep", "1000").code == 0
    try:
        done = sampan.docker(
            "exec", "-u", "nobody", "-w", "/tmp", "-e", "A=b", "long", "sh", "-c", "id -u; pwd; echo $A; exit 4"
        )
        assert (done.code, done.text.split()) == (4, ["65534", "/tmp", "b"])
        assert sampan.docker("exec", "-i", "long", "cat", stdin=b"to it").text == "to it"
        assert sampan.docker("exec", "-t", "long", "tty").text == "/dev/pts/0"
        missing = sampan.docker("exec", "long", "nothing")
        assert missing.code == 127
        assert "OCI runtime exec failed: exec failed: unable to start container process" in missing.text + str(
            missing.err
        )
        groups = sampan.docker("exec", "long", "cat", "/proc/self/cgroup").text
        init = sampan.docker("exec", "long", "cat", "/proc/1/cgroup").text
        assert groups == init
    finally:
        sampan.docker("rm", "-f", "long")
    eventually(lambda: kept(sampan) == [])


def test_a_reaper_in_front_is_the_hosts(sampan: Sampan) -> None:
    if not any(os.access(path, os.X_OK) for path in reaper.PROGRAMS):
        pytest.skip("this host has no docker-init: apt-get install docker.io, or tini")
    script = "cat /proc/1/comm; sh -c 'sleep 0.1 & exit'; sleep 0.5; ps -o stat | grep -c Z; exit 6"
    for name in ("debian", "own"):
        done = sampan.docker("run", "--rm", "--init", "--runtime", name, "busybox", "sh", "-c", script)
        assert (done.code, done.text.split()) == (6, ["docker-init", "0"]), done
        assert sampan.docker("run", "--rm", "--init", "--runtime", name, "busybox", "no-such").code == 127


def test_limits_pause_update_and_memory(sampan: Sampan) -> None:
    limits = ("-m", "64m", "--memory-swap", "64m", "--pids-limit", "30")
    started = sampan.docker("run", "-d", "--runtime", "debian", "--name", "bound", *limits, "busybox", "sleep", "1000")
    assert started.code == 0, started
    try:
        limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        limit = limit if Path(limit).exists() else "/sys/fs/cgroup/memory.max"
        assert sampan.docker("exec", "bound", "cat", limit).text == str(64 << 20)
        assert sampan.docker("update", "-m", "80m", "--memory-swap", "80m", "bound").code == 0
        assert sampan.docker("exec", "bound", "cat", limit).text == str(80 << 20)
        assert sampan.docker("pause", "bound").code == 0
        assert state(sampan, "bound")["Paused"] is True
        assert sampan.docker("unpause", "bound").code == 0
        assert "sleep 1000" in sampan.docker("top", "bound").text
        used = sampan.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", "bound")
        assert used.text.endswith("80MiB"), used
    finally:
        sampan.docker("rm", "-f", "bound")
    eats = ("sh", "-c", "x=a; while :; do x=$x$x; done")
    assert sampan.docker("run", "--runtime", "debian", "--name", "eater", "-m", "16m", "busybox", *eats).code == 137
    assert state(sampan, "eater")["OOMKilled"] is True
    sampan.docker("rm", "eater")


def test_namespaces_of_others_are_joined(sampan: Sampan) -> None:
    assert sampan.docker("run", "-d", "--name", "donor", "busybox", "sleep", "1000").code == 0
    try:
        joins = ("--network", "container:donor", "--pid", "container:donor")
        done = sampan.docker("run", "--rm", "--runtime", "debian", *joins, "busybox", "sh", "-c", "ps; ip -o addr")
        assert "sleep 1000" in done.text
        assert "eth0" in done.text
    finally:
        sampan.docker("rm", "-f", "donor")


def test_restart_policies_and_ports(sampan: Sampan) -> None:
    program = "echo up; echo page > /tmp/p; httpd -p 80 -h /tmp; sleep 1000"
    made = ("--restart", "always", "-p", "127.0.0.1::80", "--name", "again")
    assert sampan.docker("run", "-d", "--runtime", "debian", *made, "busybox", "sh", "-c", program).code == 0
    try:
        eventually(lambda: sampan.docker("logs", "again").text == "up", "it says nothing")
        first = state(sampan, "again")["Pid"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: state(sampan, "again")["Pid"] not in (0, first), "it is not started again")
        place = sampan.docker("port", "again", "80").text
        eventually(lambda: sampan.execute(["wget", "-qO-", f"http://{place}/p"]).text == "page", "nobody answers")
        assert sampan.docker("logs", "again").text.split() == ["up", "up"]
    finally:
        sampan.docker("rm", "-f", "again")


def test_failures_are_told_in_dockers_words(sampan: Sampan) -> None:
    def fails(*words: str) -> tuple[int, str]:
        done = sampan.docker("run", "--rm", *words)
        return done.code, done.err.decode().split("\n")[0].partition("daemon: ")[2]

    assert fails("--runtime", "none-such", "busybox", "true") == (125, "unknown or invalid runtime name: none-such")
    begin = f"{CHAIN}runc create failed: unable to start container process: exec: "
    assert fails("--runtime", "debian", "busybox", "nothing") == (
        127,
        f'{begin}"nothing": executable file not found in $PATH: unknown',
    )
    code, text = fails("--runtime", "debian", "busybox", "/etc")
    assert (code, text.startswith(begin), "permission denied" in text) == (126, True, True)
    assert fails("--runtime", "debian", "--user", "nobody-such", "busybox", "true") == (
        125,
        "unable to find user nobody-such: no matching entries in passwd file",
    )
    code, text = fails("--runtime", "gone", "busybox", "true")
    assert (code, "fork/exec /nowhere/at/all: no such file or directory" in text) == (127, True)
    assert fails("--runtime", "grumbler", "busybox", "true") == (125, f"{CHAIN}no mood for it: unknown")
    code, text = fails("--runtime", "liar", "busybox", "true")
    assert (code, "pid file holds b'1'" in text) == (125, True)
    eventually(lambda: kept(sampan) == [])


def test_it_outlives_the_daemon_and_a_lost_monitor_leaves_nothing(tmp_path: Path) -> None:
    with running_sampan(*flags(tmp_path)) as engine:
        engine.load_busybox()
        program = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"
        for name in ("one", "two"):
            assert (
                engine.docker("run", "-d", "--runtime", "debian", "--name", name, "busybox", "sh", "-c", program).code
                == 0
            )
            eventually(lambda name=name: engine.docker("logs", name).text == "ready")  # type: ignore[misc]
        before = state(engine, "one")
        record = json.loads((engine.exec_root / "containers" / _id(engine, "two") / "record.json").read_text())
        engine.kill()
        engine.start(*flags(tmp_path))
        assert state(engine, "one") == before
        assert engine.docker("exec", "one", "echo", "still").text == "still"
        os.kill(record["monitor"][0], signal.SIGKILL)
        eventually(lambda: state(engine, "two")["Running"] is False, "the end of the monitor is not heard")
        assert engine.docker("start", "two").code == 0
        assert engine.docker("stop", "one").code == 0
        assert state(engine, "one")["ExitCode"] == 5
        eventually(lambda: kept(engine) == [_id(engine, "two")], "the runtime keeps what has ended")
        engine.kill()
        os.kill(_monitor(engine), signal.SIGKILL)
        engine.start(*flags(tmp_path))
        eventually(lambda: state(engine, "two")["Running"] is False)
        assert kept(engine) == []


def _id(engine: Sampan, name: str) -> str:
    return engine.docker("inspect", "-f", "{{.Id}}", name).text


def _monitor(engine: Sampan) -> int:
    """Of the one container that runs; there is no daemon to be asked."""
    records = [json.loads(path.read_text()) for path in (engine.exec_root / "containers").glob("*/record.json")]
    return int(next(record["monitor"][0] for record in records if "exit" not in record))


def test_info_names_them(sampan: Sampan) -> None:
    info = sampan.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert set(info["Runtimes"]) == {"runc", "debian", "gone", "liar", "grumbler", "own"}
    assert info["Runtimes"]["gone"] == {"path": "/nowhere/at/all"}
    assert info["DefaultRuntime"] == "runc"
