"""`sampan-oci` under containerd, as `ctr run --runc-binary` calls it: by the shim, whose log and console socket it has to serve."""

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.archives import busybox_rootfs
from tests.daemons import entry_point
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "containerd", "busybox")

CONFIGURATION = """
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/c.sock"
[ttrpc]
address = "{0}/t.sock"
"""


class Containerd:
    """A containerd of its own, and containers on one root file system."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rootfs = directory / "rootfs"
        self.rootfs.mkdir()
        with tarfile.open(fileobj=BytesIO(busybox_rootfs())) as archive:
            archive.extractall(self.rootfs)
        (directory / "config.toml").write_text(CONFIGURATION.format(directory))
        self._log = (directory / "log").open("wb")
        self._process = subprocess.Popen(
            ["containerd", "-c", str(directory / "config.toml")], stdout=self._log, stderr=self._log
        )
        eventually((directory / "c.sock").exists, "containerd does not listen")

    def ctr(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            ["ctr", "--address", str(self.directory / "c.sock"), *words], capture_output=True, timeout=60, check=False
        )
        return done.returncode, (done.stdout + done.stderr).decode()

    def run(self, name: str, *command: str, options: tuple[str, ...] = ("--rm",)) -> tuple[int, str]:
        ours = ("--runc-binary", entry_point("sampan-oci")[0], "--rootfs", "--env", "PATH=/bin")
        return self.ctr("run", *options, *ours, str(self.rootfs), name, *command)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    # Sockets have names of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ctrd-", dir="/tmp") as directory:
        made = Containerd(Path(directory))
        yield made
        made.stop()


@pytest.mark.parametrize(
    ("options", "command", "code", "said"),
    [
        ((), ["sh", "-c", "id -u; exit 3"], 3, "0\n"),
        (("--cwd", "/tmp", "--env", "A=b"), ["sh", "-c", "pwd; echo $A"], 0, "/tmp\nb\n"),
        (("--read-only",), ["touch", "/x"], 1, "Read-only"),
        (("--memory-limit", str(64 << 20)), ["true"], 0, ""),
        (("--seccomp",), ["grep", "Seccomp:", "/proc/self/status"], 0, "2"),
        ((), ["nothing"], 1, "executable file not found in $PATH"),
    ],
)
def test_lives(containerd: Containerd, options: tuple[str, ...], command: list[str], code: int, said: str) -> None:
    got, text = containerd.run(f"life-{os.getpid()}", *command, options=("--rm", *options))
    assert got == code, text
    assert said in text


def test_a_task(containerd: Containerd) -> None:
    name = f"task-{os.getpid()}"
    assert containerd.run(name, "sleep", "1000", options=("--detach",)) == (0, "")
    try:
        code, text = containerd.ctr("task", "exec", "--exec-id", "one", name, "sh", "-c", "ps; exit 4")
        assert (code, "sleep 1000" in text) == (4, True), text
        assert containerd.ctr("task", "ps", name)[0] == 0
        assert containerd.ctr("task", "metrics", name)[0] == 0
        for verb, status in (("pause", "PAUSED"), ("resume", "RUNNING")):
            assert containerd.ctr("task", verb, name)[0] == 0
            assert status in containerd.ctr("task", "ls")[1]
    finally:
        containerd.ctr("task", "kill", "--signal", "9", name)
        eventually(lambda: "STOPPED" in containerd.ctr("task", "ls")[1], "the task does not end")
        assert containerd.ctr("task", "delete", name)[0] in (0, 137)
        assert containerd.ctr("container", "delete", name)[0] == 0
