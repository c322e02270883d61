"""A rootless engine's walls: what containers see of control groups and the machine's loopback, and who may speak to the engine."""

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import managed
from tests.daemons import EMULATED
from tests.ordinary import Lodging, lodging
from tests.requires import requires
from tests.waiting import eventually

_GATEWAY6 = "fd53:616d:7061:6e::2"

pytestmark = requires(
    "root", "userns", "overlay", "nftables", "bridge", "veth", "busybox", "newuidmap", "useradd", "setpriv", "open-tree",
    "way-out", "cgroup_v2",
)  # fmt: skip


@pytest.fixture(scope="module", params=[pytest.param("pasta", marks=requires("pasta"))])
def home(request: pytest.FixtureRequest) -> Iterator[Lodging]:
    """One to which control groups are delegated: without them there is nothing to be written."""
    with lodging("--network", request.param, delegates=True) as engine:
        yield engine


@contextmanager
def greeting(address: str) -> Iterator[int]:
    """A service that says who calls; its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        ended = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                with client, suppress(OSError):
                    client.sendall(b"hello")
                    # Open until the caller is through: of a connection that ends at once pasta of 2023 may show nothing.
                    client.settimeout(40 if EMULATED else 5)
                    client.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            ended.set()
            thread.join(10)


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("198.51.100.1", 9))
        return str(sock.getsockname()[0])


def test_sec_cve_2023_25809_rootless(home: Lodging) -> None:
    """runc, rootless: /sys/fs/cgroup was the machine's, writable for its owner, where the cgroup namespace was not unshared."""
    assert home.person.group is not None
    script = "mkdir /sys/fs/cgroup/mine 2>&1; echo 1 > /sys/fs/cgroup/cgroup.freeze; cat /proc/self/cgroup"
    for more in ((), ("--cap-add", "SYS_ADMIN"), ("--cap-add", "ALL")):
        seen = home.sampan("run", "--rm", *more, "busybox", "sh", "-c", script)
        assert b"Read-only file system" in seen.out + seen.err, (more, seen)
        assert b"0::/\n" in seen.out, "the container sees itself at the root of its own namespace"
        assert home.person.name.encode() not in seen.out
    refused = home.sampan("run", "--rm", "--cgroupns=host", "busybox", "true")
    assert b"--cgroupns=host is not possible in rootless mode" in refused.err
    # With the rights to mount it anew it is still the container's own group, and nothing above it.
    script = "mkdir /tmp/c && mount -t cgroup2 none /tmp/c && cat /tmp/c/cgroup.procs | wc -l && ls /tmp/c"
    own = home.sampan("run", "--rm", "--privileged", "busybox", "sh", "-c", script)
    assert b"docker" not in own.out
    assert b"-leaf" not in own.out


def test_delegated_groups_are_used(home: Lodging) -> None:
    """Pause and the end of a container are the kernel's, in a group below the one that was given."""
    assert home.person.group is not None
    identifier = home.ok("run", "-d", "--name", "held", "busybox", "sh", "-c", "while :; do sleep 0.05; done")
    group = home.person.group / "docker" / identifier
    assert (group / "cgroup.procs").read_text().split()
    home.ok("pause", "held")
    assert (group / "cgroup.freeze").read_text() == "1\n"
    home.ok("unpause", "held")
    assert "sleep" in home.ok("top", "held")
    home.ok("rm", "-f", "held")
    eventually(lambda: not group.exists())


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_sec_loopback_of_the_machine(home: Lodging, network: str) -> None:
    """slirp4netns without --disable-host-loopback, pasta's --map-gw: the gateway's address led to the machine's 127.0.0.1.

    With slirp4netns: tests/api/test_rootless.py, whose engine has it.
    """
    reach_nothing_of_loopback(home, network)


def reach_nothing_of_loopback(engine: Lodging, network: str) -> None:
    with greeting("127.0.0.1") as port, greeting("::1") as port6, greeting(own_address()) as open_port:
        calls = [f"nc -w 1 {address} {port}" for address in ("10.0.2.2", "10.0.2.3", "10.0.2.100", "127.0.0.1")]
        calls.append(f"nc -w 1 {_GATEWAY6} {port6}")
        bounded = f"timeout -s KILL {30 if EMULATED else 3}"
        at_once = " & ".join(f"{bounded} {call}" for call in calls) + " & wait"
        assert b"hello" not in engine.sampan("run", "--rm", "--network", network, "busybox", "sh", "-c", at_once).out
        # Killed: pasta of 2023 may hold back the end of a connection whose last bytes come with it.
        within = ("run", "--rm", "--network", network, "busybox", "sh", "-c")
        heard: list[str] = []

        def is_heard() -> bool:
            """It may also lose all of them on a busy machine, or send them several times."""
            heard.append(engine.ok(*within, f"{bounded} nc {own_address()} {open_port}; true"))
            return bool(heard[-1])

        eventually(is_heard, "what is open to all is not reached", 300 if EMULATED else 60)
        assert "".join(heard).replace("hello", "") == ""


def test_sec_nobody_else_speaks_to_it(home: Lodging) -> None:
    """CVE-2025-9074, CVE-2021-4024: the engine's sockets are files in a closed directory, its user's alone; none listens by TCP."""
    for name in ("sampan.sock", "keeper.sock", "launcher.sock"):
        path = home.exec_root / name
        if path.exists():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, name
            assert path.stat().st_uid == home.person.uid
    assert stat.S_IMODE(home.person.run_directory.stat().st_mode) == 0o700
    # The directory opened for a moment: the socket itself refuses others, those of containers' users too.
    home.person.run_directory.chmod(0o755)
    try:
        for uid in (65534, home.person.subordinate()[0], home.person.subordinate()[999]):
            for name in ("sampan.sock", "keeper.sock"):
                assert connects(uid, home.exec_root / name) == "PermissionError", (uid, name)
        assert connects(home.person.uid, home.exec_root / "sampan.sock") == ""
    finally:
        home.person.run_directory.chmod(0o700)
    unix = home.ok("run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/unix")
    assert "@" not in unix, "abstract sockets are there for every container of the network namespace (CVE-2020-15257)"
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True, timeout=20).stdout
    own = [line.split()[0] for line in home.person.processes()]
    assert [line for line in listening.splitlines() if any(f"pid={pid}," in line for pid in own)] == []


def connects(uid: int, path: Path) -> str:
    """The name of what went wrong when `uid` connected."""
    program = (
        "import socket,sys\n"
        "for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):\n"
        "    try: socket.socket(socket.AF_UNIX, kind).connect(sys.argv[1]); sys.exit()\n"
        "    except OSError as error: last = error\n"
        "print(type(last).__name__)\n"
    )
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", program]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def test_root_inside_has_no_right_outside(home: Lodging) -> None:
    """The whole machine bound into a privileged container is what its user sees of it, and no more."""
    within = ("run", "--rm", "--privileged", "--network", "host", "-v", "/:/machine", "busybox", "sh", "-c")
    denied = home.sampan(
        *within, "cat /machine/etc/shadow; touch /machine/etc/sampan-was-here; kill -0 1; ls /machine/root/."
    )
    assert b"root:" not in denied.out
    assert not Path("/etc/sampan-was-here").exists()
    sysctl = home.sampan(*within, "echo 1 > /proc/sys/kernel/panic; echo 0 > /machine/proc/sys/vm/swappiness")
    assert sysctl.err.count(b"ermission denied") + sysctl.err.count(b"Read-only") >= 2, sysctl
    module = home.sampan(*within, "mount -t ext4 /dev/vda /mnt; mknod /tmp/d b 254 0")
    assert module.code != 0


def test_the_keeper_gives_sockets_to_its_user_alone(home: Lodging) -> None:
    """It does not understand anything else either, and stays."""
    keeper = home.exec_root / "keeper.sock"
    for question in (
        b"",
        b"[]",
        b'{"want": 1}',
        b'{"want": "socket", "type": "raw", "family": 4}',
        b"{" * 4096,
        b"\xff",
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            # As root of the machine, whom the keeper's user namespace does not know.
            sock.connect(str(keeper))
            try:
                sock.send(question)
                assert sock.recv(4096) == b""
            except OSError:
                continue
    asked = (
        "import socket, sys\n"
        'for question in (b\'\', b\'[]\', b\'{"want": 1}\', b\'{"want": "socket", "type": "raw", "family": 4}\', b\'{\' * 4096):\n'
        "    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "    sock.connect(sys.argv[1]); sock.send(question or b'0')\n"
        "    print(sock.recv(4096)[:8])\n"
    )
    told = home.person.execute("/usr/bin/python3", "-c", asked, str(keeper))
    assert told.code == 0, told
    assert told.text.split() == ["b'{\"error\"'"] * 5
    assert home.ok("run", "--rm", "-p", "28111:80", "busybox", "echo", "still there") == "still there"
    assert os.path.exists(keeper)


def test_a_managed_plugin_has_what_the_user_has(home: Lodging) -> None:
    archive = managed.archive(managed.config(linux={"capabilities": ["CAP_SYS_ADMIN"]}))
    assert home.api("POST", "/plugins/create?name=mine", archive).status == 204

    def owners() -> set[int]:
        found = set()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and b"/plugin.py" in (entry / "cmdline").read_bytes():
                    found.add(entry.stat().st_uid)
        return found

    try:
        enabled = home.api("POST", "/plugins/mine/enable?timeout=0")
        assert enabled.status == 200, enabled
        assert owners() == {home.person.uid}
        made = home.api("POST", "/volumes/create", {"Name": "v", "Driver": "mine"})
        assert made.status in (200, 201), made
        eventually(lambda: "plugin mine:latest: /VolumeDriver.Create" in home.log.read_text(), "it was asked")
    finally:
        assert home.api("DELETE", "/volumes/v?force=1").status == 204
        assert home.api("DELETE", "/plugins/mine?force=1").status == 200
    assert owners() == set()
