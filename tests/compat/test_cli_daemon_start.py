"""With nobody at the default socket, the command starts a daemon: once, out of its own cgroup, and says so in a line.

In a mount namespace of its own with empty default directories, and a data root whose instance id is nobody else's.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.daemons import Outcome, entry_point, scrubbed_environment
from tests.requires import requires

pytestmark = requires("root", "overlay", "mountns")

DIRECTORIES = ("/run/sampan", "/var/lib/sampan", "/var/log/sampan", "/etc/sampan")


class PrivateHost:
    """A process that keeps a mount namespace with empty default directories open; commands are run inside."""

    def __init__(self, data_root: str) -> None:
        self.instance = hashlib.sha256(data_root.encode()).hexdigest()[:12]
        made = " && ".join(f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in DIRECTORIES)
        config = json.dumps({"data-root": data_root})
        script = f"{made} && echo '{config}' > /etc/sampan/daemon.json && mkdir -p {data_root} && echo ready && exec sleep 600"
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert self.keeper.stdout is not None
        assert self.keeper.stdout.readline() == "ready\n"
        self.daemons: set[int] = set()

    def sampan(self, *words: str) -> Outcome:
        entry = ["nsenter", "--mount", "--target", str(self.keeper.pid), *entry_point("sampan"), *words]
        done = subprocess.run(entry, capture_output=True, env=scrubbed_environment(), timeout=30, cwd="/")
        for word in done.stderr.decode().replace(",", " ").split():
            if word.isdigit() and os.path.exists(f"/proc/{word}"):
                self.daemons.add(int(word))
        return Outcome(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        for pid in self.daemons:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in self.daemons) and time.monotonic() < deadline:
            time.sleep(0.05)
        leaks.clear(self.instance)
        self.keeper.kill()
        self.keeper.wait()
        assert self.keeper.stdout is not None
        self.keeper.stdout.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PrivateHost]:
    made = PrivateHost(f"/var/lib/sampan/test-{os.getpid()}-{tmp_path.name[-1]}")
    yield made
    made.close()


def test_starts_one_and_says_so(host: PrivateHost) -> None:
    outcome = host.sampan("images", "--format", "{{.Repository}}")
    assert outcome.code == 0, outcome
    assert outcome.text == "host"
    (line,) = outcome.err.decode().splitlines()
    assert line.startswith("sampan: no daemon was running: started one (pid ")
    assert "log /var/log/sampan/sampand.log" in line
    (pid,) = host.daemons
    status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(status[3]) == int(status[2]) != os.getsid(0)  # leads a session of its own, or is in one that it made
    if "cgroup" not in line:
        groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        assert {group.split(":", 2)[2] for group in groups} == {"/"}
    assert host.sampan("version").err == b""
    assert host.daemons == {pid}


def test_two_commands_at_once_get_one_daemon(host: PrivateHost) -> None:
    entry = ["nsenter", "--mount", "--target", str(host.keeper.pid), *entry_point("sampan"), "version"]
    both = [
        subprocess.Popen(entry, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=scrubbed_environment())
        for _ in range(2)
    ]
    outcomes = [(process.communicate(timeout=30), process.returncode) for process in both]
    assert [code for _, code in outcomes] == [0, 0], outcomes
    host.sampan("info")
    for (_, err), _ in outcomes:
        for word in err.decode().replace(",", " ").split():
            if word.isdigit() and os.path.exists(f"/proc/{word}"):
                host.daemons.add(int(word))
    assert len(host.daemons) == 1


def test_a_daemon_that_cannot_start_is_explained(host: PrivateHost) -> None:
    command = [
        "nsenter",
        "--mount",
        "--target",
        str(host.keeper.pid),
        "sh",
        "-c",
        "echo '{\"nonsense\": 1}' > /etc/sampan/daemon.json",
    ]
    subprocess.run(command, check=True)
    outcome = host.sampan("ps")
    assert outcome.code == 1
    text = outcome.err.decode()
    assert "started sampand, but it ended at once" in text
    assert "nonsense" in text
    assert "/var/log/sampan/sampand.log" in text
