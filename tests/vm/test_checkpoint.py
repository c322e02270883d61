"""Checkpoint and restore by the machine's own criu: a program goes on where it was, as what it was, under whatever daemon."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.leaks import hierarchies
from tests.vm.conftest import PROGRAMS, V2, group_of, sampan, shell

COUNT = "trap 'exit 7' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"
CONFIG = Path("/etc/sampan/daemon.json")
CONTAINERS = Path("/var/lib/sampan/containers")
SECONDS = 120.0


@pytest.fixture(scope="module")
def experimental(service: None) -> Iterator[None]:
    """The service in experimental mode."""
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text('{"experimental": true}')
    shell("systemctl", "restart", "sampan.service")
    yield
    CONFIG.unlink()
    shell("systemctl", "restart", "sampan.service")


@pytest.fixture
def counter(experimental: None) -> Iterator[Callable[..., str]]:
    """Start a program that counts; everything of that kind goes at the end."""
    names: list[str] = []

    def start(*options: str, program: str = COUNT) -> str:
        name = f"counter{len(names)}"
        names.append(name)
        sampan("run", "-d", "--name", name, *options, "busybox", "sh", "-c", program)
        until(lambda: len(counted(name)) > 3, f"{name} to count")
        return name

    yield start
    for name in names:
        sampan("rm", "-f", "-v", name)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS:.0f} s for {what}"
        time.sleep(0.2)


def counted(name: str) -> list[int]:
    return [int(line) for line in sampan("logs", name).splitlines() if line.isdigit()]


def goes_on(name: str) -> list[int]:
    """Wait until it has counted on, and return all it wrote."""
    before = len(counted(name))
    until(lambda: len(counted(name)) > before + 2, f"{name} to count on")
    return counted(name)


def inspected(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(sampan("inspect", name))[0]
    return found


def state(name: str) -> tuple[str, int]:
    text, code = sampan("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).split()
    return text, int(code)


def identity(name: str) -> list[str]:
    """Who its program is and what it may do."""
    kept = ("Name", "Umask", "Uid", "Gid", "Groups", "NSpid", "NSsid", "Sig", "Cap", "NoNewPrivs", "Seccomp")
    lines = sampan("exec", name, "cat", "/proc/1/status").splitlines()
    return [line for line in lines if line.startswith(kept) and not line.startswith(("SigQ", "NSpid"))]


def mounts(name: str) -> list[tuple[str, ...]]:
    """What it sees mounted: where, how, of what kind."""
    lines = (line.split() for line in sampan("exec", name, "cat", "/proc/1/mountinfo").splitlines())
    return sorted((words[4], words[5], words[words.index("-") + 1]) for words in lines)


def test_it_goes_on_where_it_was_and_is_what_it_was(counter: Callable[..., str]) -> None:
    shell("mkdir", "-p", "/srv/shared")
    options = (
        "--memory",
        "64m",
        "--network",
        "none",
        "-v",
        "counted:/data",
        "-v",
        "/srv/shared:/shared:ro",
        "--user",
        "7:8",
    )
    name = counter("--tmpfs", "/scratch", "--restart", "always", *options)
    sampan(
        "exec", "--user", "0", name, "sh", "-c", "echo kept >/scratch/note; echo written >/data/note; echo own >/note"
    )
    before, seen = identity(name), mounts(name)
    assert sampan("checkpoint", "create", name, "noon") == "noon"
    assert state(name) == ("exited", 137)
    assert sampan("checkpoint", "ls", name).split() == ["CHECKPOINT", "NAME", "noon"]
    Path("/srv/shared/late").write_text("seen\n")
    assert sampan("start", "--checkpoint", "noon", name) == name
    numbers = goes_on(name)
    assert numbers == list(range(1, len(numbers) + 1))
    assert (identity(name), mounts(name)) == (before, seen)
    text = sampan("exec", name, "cat", "/scratch/note", "/data/note", "/note", "/shared/late", "/etc/hostname")
    assert text.split() == ["kept", "written", "own", "seen", sampan("inspect", "-f", "{{.Config.Hostname}}", name)]
    if V2:
        assert sampan("exec", name, "cat", "/proc/self/cgroup") == "0::/"
    lines = Path(f"/proc/{pid_of(name)}/cgroup").read_text().splitlines()
    assert [line for line in lines if not line.endswith(f":/{group_of(name)}")] == []
    assert sampan("stats", "--no-stream", "--format", "{{.PIDs}}", name).isdigit()
    sampan("stop", name)
    assert state(name) == ("exited", 7)


def pid_of(name: str) -> int:
    return int(sampan("inspect", "-f", "{{.State.Pid}}", name))


def test_its_network_is_new_and_works(counter: Callable[..., str]) -> None:
    sampan("network", "create", "own")
    try:
        peer = counter("--network", "own", "--network-alias", "peer")
        name = counter("--network", "own", "-p", "127.0.0.1:7070:70", "--sysctl", "net.ipv4.ip_default_ttl=77")
        sampan("checkpoint", "create", name, "noon")
        sampan("start", "--checkpoint", "noon", name)
        numbers = goes_on(name)
        assert numbers == list(range(1, len(numbers) + 1))
        address = sampan("inspect", "-f", "{{.NetworkSettings.Networks.own.IPAddress}}", name)
        assert f"inet {address}/" in sampan("exec", name, "ip", "addr", "show", "eth0")
        assert sampan("exec", name, "cat", "/proc/sys/net/ipv4/ip_default_ttl") == "77"
        until(lambda: reaches(name), "the name of its peer")
        sampan("exec", "-d", name, "nc", "-l", "-p", "70", "-e", "echo", "here")
        until(lambda: shell("busybox", "nc", "127.0.0.1", "7070", expect=None) == "here", "the published port")
        sampan("rm", "-f", peer, name)
    finally:
        sampan("network", "rm", "own", expect=None)


def reaches(name: str) -> bool:
    return "1 packets received" in sampan("exec", name, "ping", "-c", "1", "-W", "2", "peer", expect=None)


def test_one_that_is_left_running_goes_on_and_can_be_gone_back_to(counter: Callable[..., str]) -> None:
    name = counter()
    at = len(counted(name))
    sampan("checkpoint", "create", "--leave-running", name, "early")
    assert state(name) == ("running", 0)
    numbers = goes_on(name)
    assert numbers == list(range(1, len(numbers) + 1))
    refused = sampan("checkpoint", "create", name, "early", expect=1)
    assert f"checkpoint with name early already exists for container {name}" in refused
    sampan("kill", name)
    sampan("start", "--checkpoint", "early", name)
    numbers = goes_on(name)
    back = next(place for place, number in enumerate(numbers) if place and number <= numbers[place - 1])
    assert numbers[back] >= at
    assert numbers[back:] == list(range(numbers[back], numbers[back] + len(numbers) - back))
    # What was restored can be dumped again.
    sampan("checkpoint", "create", name, "later")
    sampan("start", "--checkpoint", "later", name)
    goes_on(name)
    assert sampan("checkpoint", "ls", name).split()[2:] == ["early", "later"]
    sampan("checkpoint", "rm", name, "early")
    assert sampan("checkpoint", "ls", name).split()[2:] == ["later"]


def test_what_was_restored_outlives_the_daemon(counter: Callable[..., str]) -> None:
    name = counter()
    sampan("checkpoint", "create", name, "noon")
    sampan("start", "--checkpoint", "noon", name)
    pid = pid_of(name)
    shell("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "sampan.service")
    shell("systemctl", "restart", "sampan.service")
    assert pid_of(name) == pid
    numbers = goes_on(name)
    assert numbers == list(range(1, len(numbers) + 1))
    assert sampan("exec", name, "echo", "here") == "here"
    sampan("stop", name)
    assert state(name) == ("exited", 7)


def test_a_daemon_that_is_killed_over_a_dump_leaves_it_running_or_checkpointed(counter: Callable[..., str]) -> None:
    name = counter()
    daemon = int(shell("systemctl", "show", "-p", "MainPID", "--value", "sampan.service"))
    client = os.spawnlp(
        os.P_NOWAIT, "sh", "sh", "-c", f"exec {shell_word()} checkpoint create {name} noon >/dev/null 2>&1"
    )
    until(lambda: any("sampan-checkpointer" in title for title in titles()), "the checkpointer")
    os.kill(daemon, 9)
    os.waitpid(client, 0)
    until(lambda: not any("sampan-checkpointer" in title for title in titles()), "the end of the checkpointer")
    shell("systemctl", "restart", "sampan.service")
    names = sampan("checkpoint", "ls", name).split()[2:]
    assert state(name) == (("exited", 137) if names else ("running", 0))
    if names:
        sampan("start", "--checkpoint", "noon", name)
    numbers = goes_on(name)
    assert numbers == list(range(1, len(numbers) + 1))


def shell_word() -> str:
    return str(PROGRAMS / "sampan")


def titles() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def test_what_cannot_be_restored_says_why_and_leaves_nothing(counter: Callable[..., str]) -> None:
    name = counter()
    sampan("checkpoint", "create", name, "noon")
    images = CONTAINERS / str(inspected(name)["Id"]) / "checkpoints/noon"
    (images / "pstree.img").write_bytes(b"")
    refused = sampan("start", "--checkpoint", "noon", name, expect=1)
    assert "OCI runtime restore failed: criu failed: " in refused
    assert "Unexpected EOF" in refused or "magic" in refused.lower()
    assert state(name)[0] == "exited"
    assert [tree for tree in hierarchies() if Path(tree, group_of(name)).exists()] == []
    (images / "pstree.img").unlink()
    (images / "pstree.img").symlink_to("/etc/passwd")
    assert "pstree.img in it is no regular file" in sampan("start", "--checkpoint", "noon", name, expect=1)
    sampan("start", name)
    until(lambda: counted(name)[-1] < 20 and counted(name).count(1) == 2, "a start from the beginning")


def test_criu_says_what_it_cannot_dump_and_it_goes_on(counter: Callable[..., str]) -> None:
    # A connection that is established, which neither Docker nor this dumps.
    talk = "(sleep 1000 | nc -l -p 70) & sleep 2; (sleep 1000 | nc 127.0.0.1 70) & " + COUNT
    name = counter(program=talk)
    until(lambda: ":0046 01 " in sampan("exec", name, "cat", "/proc/net/tcp"), "a connection")
    refused = sampan("checkpoint", "create", name, "noon", expect=1)
    assert refused.startswith(f"Error response from daemon: Cannot checkpoint container {name}: ")
    assert "tcp-established" in refused
    assert sampan("checkpoint", "ls", name).split()[2:] == []
    goes_on(name)


def test_a_directory_of_the_clients_own(counter: Callable[..., str], tmp_path: Path) -> None:
    name = counter()
    sampan("checkpoint", "create", "--leave-running", "--checkpoint-dir", str(tmp_path / "kept"), name, "noon")
    assert (tmp_path / "kept/noon/inventory.img").exists()
    assert sampan("checkpoint", "ls", "--checkpoint-dir", str(tmp_path / "kept"), name).split()[2:] == ["noon"]
    assert sampan("checkpoint", "ls", name).split()[2:] == []
    refused = sampan("start", "--checkpoint-dir", str(tmp_path / "kept"), "--checkpoint", "noon", name, expect=1)
    assert "custom checkpointdir is not supported" in refused
    sampan("checkpoint", "rm", "--checkpoint-dir", str(tmp_path / "kept"), name, "noon")
    assert not (tmp_path / "kept/noon").exists()
