"""`sampan-oci` as the runtime of Debian's Podman."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import busybox_rootfs
from tests.daemons import entry_point
from tests.requires import requires

pytestmark = requires("root", "podman", "busybox")

# Without CAP_SYS_RESOURCE nobody raises a limit, and Podman's own defaults do.
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000:1000")


class Podman:
    """With roots of its own."""

    def __init__(self, base: Path) -> None:
        places = {"root": "s", "runroot": "r", "tmpdir": "t", "network-config-dir": "n"}
        self.options = [word for name, place in places.items() for word in (f"--{name}", str(base / place))]
        self.options += [
            "--runtime",
            entry_point("sampan-oci")[0],
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
        ]
        self.options += ["--storage-driver", "vfs"]

    def __call__(self, *words: str, stdin: bytes = b"") -> tuple[int, bytes]:
        if words[0] == "run":
            words = ("run", "--net", "none", *LIMITS, *words[1:])
        done = subprocess.run(["podman", *self.options, *words], input=stdin, capture_output=True, timeout=120)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    made = Podman(tmp_path_factory.mktemp("podman"))
    assert made("import", "-", "busybox", stdin=busybox_rootfs())[0] == 0
    yield made
    made("rm", "-f", "-a")
    made("rmi", "-f", "-a")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sh", "-c", "id -u; exit 3"], 3, b"0\n"),
        (["-u", "5:6", "busybox", "id"], 0, b"uid=5(5) gid=6(6) groups=6(6)\n"),
        (["-t", "busybox", "tty"], 0, b"/dev/pts/0\r\n"),
        (["--read-only", "busybox", "sh", "-c", "echo x > /tmp/a && cat /tmp/a; touch /x"], 1, b"Read-only"),
        (["-m", "64m", "--memory-swap", "64m", "--pids-limit", "20", "busybox", "true"], 0, b""),
        (["--cap-drop", "ALL", "busybox", "grep", "CapEff", "/proc/self/status"], 0, b"0000000000000000"),
        (["--privileged", "busybox", "sh", "-c", "mkdir /mnt && mount -t tmpfs x /mnt"], 0, b""),
        (["busybox", "nothing"], 127, b"executable file not found"),
        (["busybox", "/etc"], 126, b""),
        (["--tmpfs", "/etc", "busybox", "ls", "/etc/passwd"], 0, b"/etc/passwd"),
    ],
)
def test_lives(podman: Podman, words: list[str], code: int, said: bytes) -> None:
    words = words if "busybox" in words else ["busybox", *words]
    got, text = podman("run", "--rm", *words)
    assert got == code, text
    assert said in text


def test_a_container_in_the_background(podman: Podman) -> None:
    assert podman("run", "-d", "--name", "long", "busybox", "sleep", "1000")[0] == 0
    assert b"sleep 1000" in podman("exec", "long", "ps")[1]
    assert podman("exec", "long", "sh", "-c", "exit 4")[0] == 4
    assert podman("exec", "-t", "long", "tty")[1] == b"/dev/pts/0\r\n"
    for words in (
        ["pause"],
        ["unpause"],
        ["restart", "-t", "0"],
        ["stop", "-t", "0"],
        ["start"],
        ["kill"],
        ["rm", "-f"],
    ):
        code, text = podman(*words, "long")
        assert code == 0, (words, text)
