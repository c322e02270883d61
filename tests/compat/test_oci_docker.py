"""`sampan-oci` as the runtime of Debian's dockerd, beside runc: the same outcome for what people do with containers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Docker, entry_point, running_docker
from tests.requires import requires

pytestmark = requires("root", "docker-client", "dockerd", "runc", "busybox")

LIVES = [
    ["run", "--rm", "busybox", "sh", "-c", "id; pwd; echo out; echo err >&2; exit 3"],
    ["run", "--rm", "-u", "5:6", "-w", "/made/here", "-e", "A=b", "busybox", "sh", "-c", "id; pwd; echo $A"],
    ["run", "--rm", "busybox", "nothing"],
    ["run", "--rm", "busybox", "/etc"],
    ["run", "--rm", "-t", "busybox", "sh", "-c", "tty; test -c /dev/console"],
    ["run", "--rm", "--read-only", "--tmpfs", "/tmp", "busybox", "sh", "-c", "touch /x; touch /tmp/y && ls /tmp"],
    ["run", "--rm", "-v", "/usr:/h:ro", "busybox", "sh", "-c", "touch /h/x; test -d /h/bin"],
    [
        "run",
        "--rm",
        "-m",
        "64m",
        "--memory-swap",
        "64m",
        "busybox",
        "cat",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ],
    ["run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", "for n in 1 2 3 4 5 6 7; do sleep 1 & done; wait"],
    ["run", "--rm", "--cap-drop", "ALL", "--cap-add", "KILL", "busybox", "grep", "Cap", "/proc/self/status"],
    [
        "run",
        "--rm",
        "--security-opt",
        "no-new-privileges",
        "busybox",
        "grep",
        "-E",
        "Seccomp:|NoNew",
        "/proc/self/status",
    ],
    ["run", "--rm", "--sysctl", "net.ipv4.ip_forward=0", "busybox", "cat", "/proc/sys/net/ipv4/ip_forward"],
    ["run", "--rm", "--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn"],
    ["run", "--rm", "--device", "/dev/zero:/dev/mine", "busybox", "head", "-c", "3", "/dev/mine"],
    ["run", "--rm", "--net", "host", "--pid", "host", "--uts", "host", "busybox", "sh", "-c", "test -d /proc/2"],
    ["run", "--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/comm"],
    ["run", "--rm", "--hostname", "named", "busybox", "hostname"],
    ["run", "--rm", "busybox", "sh", "-c", "kill -9 $$"],
]


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    path = shutil.which(entry_point("sampan-oci")[0])
    if path is None or Path(path).name != "sampan-oci":
        pytest.skip("sampan-oci is not installed in this environment: pip install -e .")
    with running_docker("--add-runtime", f"sampan={path}") as started:
        started.load_busybox()
        yield started


@pytest.mark.parametrize("words", LIVES, ids=lambda words: " ".join(words[2:])[:60])
def test_lives_end_as_with_runc(docker: Docker, words: list[str]) -> None:
    ours = docker.docker(words[0], "--runtime", "sampan", *words[1:])
    theirs = docker.docker(*words)
    assert (ours.code, ours.out) == (theirs.code, theirs.out), (ours, theirs)


def test_a_container_in_the_background(docker: Docker) -> None:
    assert docker.docker("run", "-d", "--runtime", "sampan", "--name", "long", "busybox", "sleep", "1000").code == 0
    assert b"sleep 1000" in docker.docker("exec", "long", "ps").out
    assert docker.docker("exec", "-u", "5", "long", "id", "-u").out == b"5\n"
    assert docker.docker("exec", "-t", "long", "tty").out == b"/dev/pts/0\r\n"
    assert docker.docker("exec", "long", "sh", "-c", "exit 4").code == 4
    assert docker.docker("exec", "long", "nothing").code in (126, 127)
    for words in (
        ["pause"],
        ["unpause"],
        ["update", "-m", "99m", "--memory-swap", "99m"],
        ["restart", "-t", "0"],
        ["top"],
    ):
        done = docker.docker(*words, "long")
        assert done.code == 0, (words, done)
    assert b"sleep 1000" in docker.docker("top", "long").out
    assert docker.docker("stop", "-t", "0", "long").code == 0
    assert docker.docker("inspect", "-f", "{{.State.ExitCode}}", "long").out == b"137\n"
    assert docker.docker("start", "long").code == 0
    assert docker.docker("rm", "-f", "long").code == 0


def test_privileged(docker: Docker) -> None:
    # runc refuses on a host that lacks one of the capabilities.
    script = "mkdir /mnt && mount -t tmpfs x /mnt && grep -c /mnt /proc/mounts"
    done = docker.docker("run", "--rm", "--runtime", "sampan", "--privileged", "busybox", "sh", "-c", script)
    assert (done.code, done.out) == (0, b"1\n"), done


def test_namespaces_of_another_container(docker: Docker) -> None:
    docker.docker(
        "run", "-d", "--runtime", "sampan", "--ipc", "shareable", "--name", "donor", "busybox", "sleep", "1000"
    )
    shared = [f"--{kind}=container:donor" for kind in ("pid", "net", "ipc")]
    done = docker.docker("run", "--rm", "--runtime", "sampan", *shared, "busybox", "ps")
    assert b"sleep 1000" in done.out, done
    assert docker.docker("rm", "-f", "donor").code == 0
