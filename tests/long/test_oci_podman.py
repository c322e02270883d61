"""`sampan-oci` as the runtime of Debian's Podman, of root's and of an ordinary user's."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import busybox_rootfs
from tests.daemons import entry_point
from tests.ordinary import ordinary_user
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "podman", "busybox")

# Without CAP_SYS_RESOURCE nobody raises a limit, and Podman's own defaults do.
CONFIGURATION = '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1000:1000"]\n'
OURS = ("--runtime", entry_point("sampan-oci")[0], "--cgroup-manager", "cgroupfs", "--events-backend", "file")


class Podman:
    """With roots of its own."""

    def __init__(self, base: Path) -> None:
        places = {"root": "s", "runroot": "r", "tmpdir": "t", "network-config-dir": "n"}
        self.options = [word for name, place in places.items() for word in (f"--{name}", str(base / place))]
        self.options += [*OURS, "--storage-driver", "vfs"]
        self.environment = {**os.environ, "CONTAINERS_CONF": str(base / "containers.conf")}
        (base / "containers.conf").write_text(CONFIGURATION)

    def __call__(self, *words: str, stdin: bytes = b"") -> tuple[int, bytes]:
        if words[0] == "run":
            words = ("run", *(() if "--pod" in words else ("--net", "none")), *words[1:])
        done = subprocess.run(
            ["podman", *self.options, *words], input=stdin, capture_output=True, timeout=120, env=self.environment
        )
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
        (["--uidmap", "0:300000:65536", "busybox", "cat", "/proc/self/uid_map"], 0, b"300000      65536"),
        (["--uidmap", "0:300000:9", "-v", "/usr:/v:ro,idmap", "busybox", "stat", "-c", "%u", "/v/bin"], 0, b"0\n"),
        (["-v", "/usr/share:/v:O", "busybox", "sh", "-c", "touch /v/made && test -d /v/doc"], 0, b""),
        (["--pid", "host", "--uts", "host", "--ipc", "host", "busybox", "true"], 0, b""),
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


def test_a_container_is_entered_and_its_health_is_asked(podman: Podman) -> None:
    # Who asks by the clock is systemd, which need not be there.
    podman("run", "-d", "--name", "well", "--health-cmd", "test -e /tmp/well", "busybox", "sleep", "1000")
    assert podman("healthcheck", "run", "well")[0] == 1
    entered = ("exec", "--user", "5:6", "--workdir", "/tmp", "--env", "A=b")
    assert podman(*entered, "well", "sh", "-c", "id; pwd; echo $A")[1] == b"uid=5 gid=6 groups=6\n/tmp\nb\n"
    assert podman("exec", "--detach", "well", "touch", "/tmp/well")[0] == 0
    eventually(lambda: podman("healthcheck", "run", "well")[0] == 0)
    assert podman("exec", "-i", "well", "cat", stdin=b"typed")[1] == b"typed"
    assert b"sleep 1000" in podman("top", "well")[1]
    assert podman("stats", "--no-stream", "well")[0] == 0
    assert podman("update", "--memory", "50m", "well")[0] == 0
    assert podman("rm", "-f", "-t", "0", "well")[0] == 0


def test_a_pod(podman: Podman) -> None:
    infra = ("--infra-image", "busybox", "--infra-command", "sleep 1000")
    assert podman("pod", "create", "--name", "peas", "--hostname", "peas", "--network", "none", *infra)[0] == 0
    try:
        code, text = podman("run", "--rm", "--pod", "peas", "busybox", "hostname")
        assert (code, text) == (0, b"peas\n")
        assert podman("run", "-d", "--pod", "peas", "busybox", "sleep", "1000")[0] == 0
        assert podman("pod", "stop", "-t", "0", "peas")[0] == 0
    finally:
        assert podman("pod", "rm", "-f", "-t", "0", "peas")[0] == 0


def test_a_build(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo made > /f\nUSER 5\nRUN id -u\n")
    code, text = podman("build", *OURS[:2], "--network", "none", "-t", "built", str(tmp_path))
    assert code == 0, text
    assert b"\n5\n" in text
    assert podman("run", "--rm", "built", "cat", "/f") == (0, b"made\n")


@requires("userns", "newuidmap", "useradd", "slirp4netns")
def test_without_root() -> None:
    with ordinary_user() as person:
        (person.home / "containers.conf").write_text(CONFIGURATION)
        given = {"CONTAINERS_CONF": str(person.home / "containers.conf")}

        def podman(*words: str, stdin: bytes = b"") -> tuple[int, str]:
            done = person.execute(
                "podman", "--storage-driver", "vfs", *OURS, *words, env=given, stdin=stdin, timeout=120
            )
            return done.code, done.text

        assert podman("import", "-", "busybox", stdin=busybox_rootfs())[0] == 0
        try:
            run = ("run", "--rm", "--net", "none")
            assert podman(*run, "busybox", "sh", "-c", "id -u; exit 3") == (3, "0")
            kept = podman(*run, "--userns", "keep-id", "busybox", "id", "-u")
            assert kept == (0, str(person.uid))
            assert (
                podman(*run, "--userns", "auto:size=100", "busybox", "sh", "-c", "wc -l < /proc/self/uid_map")[0] == 0
            )
            assert "tap0" in podman("run", "--rm", "busybox", "ip", "addr")[1]
            assert podman("run", "-d", "--net", "none", "--name", "long", "busybox", "sleep", "1000")[0] == 0
            assert podman("exec", "long", "sh", "-c", "exit 4")[0] == 4
            assert podman("exec", "-t", "long", "tty") == (0, "/dev/pts/0")
            for words in (["stop", "-t", "0"], ["start"], ["kill"], ["rm", "-f", "-t", "0"]):
                assert podman(*words, "long")[0] == 0, words
        finally:
            podman("rm", "-f", "-t", "0", "-a")
            # What is the user's in its own namespace, and the process that holds that.
            person.execute("podman", "unshare", "rm", "-rf", str(person.home / ".local"), timeout=120)
            for process in person.processes():
                os.kill(int(process.split()[0]), signal.SIGTERM)
