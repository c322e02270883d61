"""An ordinary user's engine, whole: no root takes part but to make the user, to load an image and to look (docs/rootless.md)."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import managed
from tests.daemons import Outcome
from tests.ordinary import SUBORDINATE, Lodging, lodging, ordinary_user
from tests.registries import running_registry
from tests.requires import requires
from tests.security.test_rootless import own_address, reach_nothing_of_loopback
from tests.waiting import eventually

pytestmark = requires(
    "root", "userns", "overlay", "nftables", "bridge", "veth", "busybox", "newuidmap", "pasta", "slirp4netns", "useradd", "setpriv",
    "open-tree", "way-out", "docker-client", "ip",
)  # fmt: skip

HERE = Path(__file__).parent
PEERS = HERE / "rootless_peers.py"
SHARED = [f"--volume={path}:{path}:ro" for path in ("/usr", "/lib", "/lib64") if os.path.exists(path)]


@pytest.fixture(scope="module")
def home() -> Iterator[Lodging]:
    with lodging("--network", "slirp4netns") as engine:
        yield engine


@pytest.fixture(autouse=True)
def _containers_go(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "home" in request.fixturenames:
        request.getfixturevalue("home").remove_containers()


def said(address: str, port: int, kind: str, within: tuple[str, ...] = ()) -> str:
    """What the program of `rootless_peers` says to a caller: the caller's address as it sees it."""
    done = subprocess.run(
        [*within, "/usr/bin/python3", PEERS, "call", kind, address, str(port)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.strip() or done.stderr.strip()[-200:]


@contextmanager
def neighbour() -> Iterator[tuple[str, ...]]:
    """A host on a wire of its own, 10.77.9.2 and fd77:9::2; the machine is .1 there. What to put before a command.

    Held by a process: the first `ip netns add` of a machine leaves a mount.
    """
    link = f"sn{os.getpid()}"[:14]
    with subprocess.Popen(["unshare", "--net", "sleep", "1000"]) as holder:
        try:
            ours, theirs = "/proc/self/ns/net", f"/proc/{holder.pid}/ns/net"
            eventually(lambda: os.readlink(theirs) != os.readlink(ours))
            within = ("nsenter", f"--net={theirs}")
            for line in (
                f"link add {link} type veth peer name far netns {holder.pid}",
                f"addr add 10.77.9.1/24 dev {link}", f"addr add fd77:9::1/64 dev {link} nodad", f"link set {link} up",
            ):  # fmt: skip
                subprocess.run(["ip", *line.split()], check=True)
            for line in ("addr add 10.77.9.2/24 dev far", "addr add fd77:9::2/64 dev far nodad", "link set far up"):
                subprocess.run([*within, "ip", *line.split()], check=True)
            yield within
        finally:
            subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)
            holder.kill()


@contextmanager
def relayed(port: int) -> Iterator[int]:
    """A port of the machine's own address that leads to one of its loopback, which no rootless daemon reaches."""
    server = socket.create_server((own_address(), 0))

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def join(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as target:
            back = threading.Thread(target=carry, args=(target, client))
            back.start()
            carry(client, target)
            back.join(10)

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=join, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def test_a_container_runs_and_is_root_of_nothing(home: Lodging) -> None:
    """Root inside is the user outside, and other users inside are subordinate ids."""
    assert home.ok("run", "--rm", "busybox", "id", "-u") == "0"
    identifier = home.ok("run", "-d", "--user", "1000", "busybox", "sleep", "60")
    pid = int(home.ok("inspect", "--format", "{{.State.Pid}}", identifier))
    assert os.stat(f"/proc/{pid}").st_uid == home.person.subordinate()[999]
    by_root = home.ok("run", "-d", "busybox", "sleep", "60")
    pid = int(home.ok("inspect", "--format", "{{.State.Pid}}", by_root))
    status = Path(f"/proc/{pid}/status").read_text()
    assert f"\nUid:\t{home.person.uid}\t" in status
    assert home.ok("run", "--rm", "busybox", "cat", "/proc/self/uid_map").split() == [
        *("0", str(home.person.uid), "1"),
        *("1", str(home.person.subordinate()[0]), str(SUBORDINATE)),
    ]


def test_exec_top_and_logs(home: Lodging) -> None:
    home.ok("run", "-d", "--name", "speaker", "busybox", "sh", "-c", "echo hello; exec sleep 60")
    eventually(lambda: home.ok("logs", "speaker") == "hello")
    assert home.ok("exec", "speaker", "hostname") == home.ok("inspect", "--format", "{{.Config.Hostname}}", "speaker")
    assert "sleep 60" in home.ok("top", "speaker")
    assert home.ok("exec", "--user", "5:6", "speaker", "id").startswith("uid=5")
    home.ok(
        "exec",
        "speaker",
        "sh",
        "-c",
        "cat /dev/zero | head -c 5 | wc -c > /dev/null; echo x > /dev/null; test -c /dev/tty",
    )


def test_files_belong_to_the_user(home: Lodging) -> None:
    """A volume keeps its files, a bind shows the user's own; root's files inside are the user's outside, others' subordinate."""
    home.ok("volume", "create", "kept")
    home.ok("run", "--rm", "-v", "kept:/v", "busybox", "sh", "-c", "echo one > /v/file")
    assert home.ok("run", "--rm", "-v", "kept:/v", "busybox", "cat", "/v/file") == "one"
    shared = home.person.home / "shared"
    shared.mkdir()
    os.chown(shared, home.person.uid, home.person.gid)
    home.ok("run", "--rm", "-v", f"{shared}:/s", "busybox", "sh", "-c", "touch /s/root /s/other; chown 33:33 /s/other")
    assert (shared / "root").stat().st_uid == home.person.uid
    assert (shared / "other").stat().st_uid == home.person.subordinate()[32]
    strangers = [path for path in home.person.home.rglob("*") if path.lstat().st_uid not in allowed(home)]
    assert strangers == []


def allowed(home: Lodging) -> set[int]:
    return {home.person.uid, *home.person.subordinate()}


def test_layers_hide_and_replace(home: Lodging) -> None:
    """Whiteouts and opaque directories are kept in the user's attributes: build, commit, diff and export see the same files."""
    dockerfile = (
        b"FROM busybox\nRUN mkdir /d && echo a > /d/a && echo b > /d/b && echo c > /c\n"
        b"RUN rm /c /d/a && rm -r /var/www && mkdir /var/www && echo new > /var/www/new\n"
    )
    home.ok("build", "-t", "hidden", "-", stdin=dockerfile, timeout=120)
    seen = home.ok("run", "--rm", "hidden", "sh", "-c", "ls /d /var/www; test ! -e /c")
    assert seen.split() == ["/d:", "b", "/var/www:", "new"]
    home.ok("run", "--name", "changed", "hidden", "sh", "-c", "rm /d/b; echo x > /x")
    changes = home.ok("diff", "changed").splitlines()
    assert {"D /d/b", "A /x"} <= set(changes)
    home.ok("commit", "changed", "committed")
    archive = home.directory / "committed.tar"
    archive.write_bytes(home.sampan("save", "committed").out)
    home.ok("rmi", "committed")
    assert home.sampan("load", stdin=archive.read_bytes()).code == 0
    assert home.ok("run", "--rm", "committed", "sh", "-c", "ls /d; cat /x") == "x"
    assert "all whole" in home.ok("system", "check")


def test_pulled_from_a_registry(home: Lodging, tmp_path: Path) -> None:
    """Out by the uplink. The machine's loopback is not to be reached, so the registry is asked at the machine's address."""
    config = home.person.home / ".config/sampan/daemon.json"
    with running_registry(tmp_path / "r") as registry, relayed(registry.port) as port:
        name = f"{own_address()}:{port}/busybox"
        config.write_text(json.dumps({"insecure-registries": [f"{own_address()}:{port}"]}))
        os.kill(home.daemon_pid(), 1)
        eventually(lambda: f"{own_address()}:{port}".encode() in home.api("GET", "/info").body)
        home.ok("tag", "busybox", name)
        home.ok("push", name)
        home.ok("rmi", name)
        home.ok("pull", name)
        assert home.ok("run", "--rm", name, "echo", "pulled") == "pulled"
        home.ok("rmi", name)


def test_names_in_a_network_of_ones_own(home: Lodging) -> None:
    home.ok("network", "create", "own")
    home.ok("run", "-d", "--name", "web", "--network", "own", "busybox", "httpd", "-f", "-h", "/etc")
    fetch = ("run", "--rm", "--network", "own", "busybox", "wget", "-qO-", "http://web/passwd")
    assert home.ok(*fetch).startswith("root:")
    assert home.sampan("run", "--rm", "busybox", "wget", "-qO-", "-T", "2", "http://web/passwd").code != 0
    home.remove_containers()
    home.ok("network", "rm", "own")


def test_published_ports_tell_who_calls(home: Lodging) -> None:
    """By TCP and UDP, both families, from loopback, the machine and a neighbour; each caller under its own address."""
    home.ok("network", "create", "--ipv6", "both")
    home.ok(
        *("run", "-d", "--name", "peers", "--network", "both", *SHARED, "-v", f"{PEERS}:/peers.py:ro"),
        *("-p", "28080:80", "-p", "28081:81/udp", "busybox", "/usr/bin/python3", "/peers.py", "serve"),
    )
    eventually(lambda: "serving" in home.ok("logs", "peers"))
    networks = json.loads(home.ok("inspect", "--format", "{{json .NetworkSettings.Networks}}", "peers"))
    gateways = networks["both"]["Gateway"], networks["both"]["IPv6Gateway"]
    with neighbour() as far:
        for kind, port in (("tcp", 28080), ("udp", 28081)):
            assert said("10.77.9.1", port, kind, far) == "10.77.9.2"
            assert said("fd77:9::1", port, kind, far) == "fd77:9::2"
            assert said(own_address(), port, kind) == own_address()
            # Never loopback's (CVE-2021-20199).
            assert said("127.0.0.1", port, kind) == gateways[0]
            assert said("::1", port, kind) == gateways[1]
        restart(home)
        assert said("10.77.9.1", 28080, "tcp", far) == "10.77.9.2"
        assert said("fd77:9::1", 28081, "udp", far) == "fd77:9::2"
    home.remove_containers()
    home.ok("network", "rm", "both")


def restart(home: Lodging) -> None:
    """The daemon ends and another takes over; containers go on."""
    home.ok("rootless", "stop", "--daemon-only")
    home.ok("rootless", "start")


def test_a_port_is_where_it_was_asked_for(home: Lodging) -> None:
    """On loopback it is on loopback alone; one that is taken or low is refused in Docker's words."""
    home.ok("run", "-d", "--name", "local", "-p", "127.0.0.1:28090:80", "busybox", "httpd", "-f", "-h", "/etc")
    eventually(lambda: reaches("127.0.0.1", 28090))
    assert not reaches(own_address(), 28090)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = home.sampan("run", "-d", "-p", f"127.0.0.1:{other.getsockname()[1]}:80", "busybox", "true")
        assert taken.code == 125
        assert b"address already in use" in taken.err
    again = home.sampan("run", "-d", "-p", "127.0.0.1:28090:80", "busybox", "true")
    assert b"port is already allocated" in again.err
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 80:
        low = home.sampan("run", "-d", "-p", "80:80", "busybox", "true")
        assert b"permission denied" in low.err
        assert b"ip_unprivileged_port_start" in low.err
    home.ok("rm", "-f", "local")
    assert not reaches("127.0.0.1", 28090)


def reaches(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2) as sock:
            sock.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
            return sock.recv(64).startswith(b"HTTP/1.")
    except OSError:
        return False


def test_containers_outlive_the_daemon(home: Lodging) -> None:
    identifier = home.ok("run", "-d", "busybox", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
    pid = home.ok("inspect", "--format", "{{.State.Pid}}", identifier)
    before = home.daemon_pid()
    os.kill(before, 9)
    eventually(lambda: not Path(f"/proc/{before}/cmdline").exists() or not Path(f"/proc/{before}/cmdline").read_bytes())
    home.ok("rootless", "start")
    assert home.ok("inspect", "--format", "{{.State.Pid}}", identifier) == pid
    assert home.daemon_pid() != before
    home.ok("stop", identifier)
    assert home.ok("inspect", "--format", "{{.State.ExitCode}}", identifier) == "7"


def test_the_way_out_is_made_again(home: Lodging) -> None:
    """slirp4netns dies: what runs goes on, and the next start leads out again."""
    home.ok("run", "-d", "--name", "inside", "busybox", "sleep", "60")
    os.kill(int((home.exec_root / "uplink.pid").read_text().split()[0]), 9)
    eventually(lambda: "tap0" not in home.ok("run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net"))
    home.ok("rootless", "start")
    assert "tap0" in home.ok("run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net")
    # Whatever the machine's resolver says, it is asked.
    assert b"10.0.2.3:53" in home.sampan("exec", "inside", "nslookup", "localhost", "10.0.2.3").out


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_sec_loopback_of_the_machine_with_slirp4netns(home: Lodging, network: str) -> None:
    reach_nothing_of_loopback(home, network)


def test_the_keeper_dies(home: Lodging) -> None:
    """What runs goes on and can be stopped; nothing more is published until all of it was started anew."""
    home.ok(
        "run",
        "-d",
        "--name",
        "open",
        "--stop-timeout",
        "1",
        "-p",
        "127.0.0.1:28120:80",
        "busybox",
        "httpd",
        "-f",
        "-h",
        "/etc",
    )
    pid = next(line.split()[0] for line in home.person.processes() if "sampan-keeper" in line)
    os.kill(int(pid), 9)
    eventually(lambda: not any("sampan-keeper" in line for line in home.person.processes()))
    assert reaches("127.0.0.1", 28120)
    refused = home.sampan("run", "-d", "-p", "28121:80", "busybox", "true")
    assert b"the keeper, which opens it, is gone (sampan rootless stop, then start)" in refused.err
    again = home.sampan("rootless", "start")
    assert b"has lost its keeper: sampan rootless stop, then start" in again.err
    home.ok("rootless", "stop")
    assert not reaches("127.0.0.1", 28120)
    home.ok("rootless", "start")
    home.ok("start", "open")
    eventually(lambda: reaches("127.0.0.1", 28120))


def test_started_on_demand(home: Lodging) -> None:
    """The user has set it up, so that any command starts what is missing, and says so."""
    home.ok("rootless", "stop", "--daemon-only")
    eventually(lambda: home.sampan("rootless", "stop", "--daemon-only").text == "sampan: no daemon ran")
    started = home.sampan("run", "--rm", "busybox", "echo", "here")
    assert started.text == "here"
    assert b"sampan: started a rootless daemon" in started.err


def test_other_clients_and_what_they_are_told(home: Lodging) -> None:
    """The docker command finds it under DOCKER_HOST; information says what it is, and what it lacks."""
    told = home.person.execute("docker", "run", "--rm", "busybox", "echo", "by docker", env={"DOCKER_HOST": home.host})
    assert told.text == "by docker"
    info = home.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert "name=rootless" in info["SecurityOptions"]
    assert info["CgroupDriver"] == "none"
    assert any("No memory limit support" in line for line in info["Warnings"])
    limited = home.sampan("run", "--rm", "-m", "64m", "busybox", "echo", "ran")
    assert limited.text == "ran"
    assert b"Limitation discarded" in limited.err
    paused = home.sampan("run", "-d", "--name", "restless", "busybox", "sleep", "60")
    assert paused.code == 0
    assert b"freezer" in home.sampan("pause", "restless").err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--pid=host",), b"--pid=host is not possible in rootless mode"),
        (("--ipc=host",), b"--ipc=host is not possible in rootless mode"),
        (("--cgroupns=host",), b"--cgroupns=host is not possible in rootless mode"),
        (("-p", "28099:80/sctp",), b"SCTP ports (80/sctp) cannot be published in rootless mode"),
    ],
)  # fmt: skip
def test_refused_by_name(home: Lodging, words: tuple[str, ...], told: bytes) -> None:
    refused = home.sampan("run", "--rm", *words, "busybox", "true")
    assert refused.code == 125
    assert told in refused.err


def test_the_host_network_is_the_daemons(home: Lodging) -> None:
    """`--network host` has the way out and the bridges, not the machine's own links; host-gateway is the machine."""
    links = home.ok("run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net")
    assert "tap0" in links.split()
    assert "eth0" not in links.split() or Path("/sys/class/net/eth0").exists() is False
    line = home.ok("run", "--rm", "--add-host", "machine:host-gateway", "busybox", "cat", "/etc/hosts")
    assert f"{own_address()}\tmachine" in line


def test_a_cdi_device_is_the_machines_own(home: Lodging, tmp_path: Path) -> None:
    """Its node is shown, as those of `--device`; a checkpoint is refused by name."""
    nodes = [{"path": "/dev/card0", "hostPath": "/dev/zero"}]
    device = {"name": "one", "containerEdits": {"deviceNodes": nodes, "env": ["CARD=one"]}}
    text = json.dumps({"cdiVersion": "0.6.0", "kind": "example.com/card", "devices": [device]})
    settings = home.person.home / ".config/sampan/daemon.json"
    before = settings.read_text()
    specs = home.person.home / "cdi"
    specs.mkdir()
    (specs / "card.json").write_text(text)
    settings.write_text(json.dumps({"cdi-spec-dirs": [str(specs)], "experimental": True}))
    try:
        home.ok("rootless", "stop", "--daemon-only")
        program = "echo $CARD; head -c 2 /dev/card0 | wc -c"
        seen = home.ok("run", "--rm", "--device", "example.com/card=one", "busybox", "sh", "-c", program)
        assert seen.split() == ["one", "2"]
        home.ok("run", "-d", "--name", "still", "busybox", "sleep", "60")
        refused = home.api("POST", "/containers/still/checkpoints", {"CheckpointID": "one", "Exit": False})
        assert refused.status == 501
        assert b"checkpoints are not possible in rootless mode" in refused.body
    finally:
        settings.write_text(before)
        home.ok("rootless", "stop", "--daemon-only")
        home.ok("rootless", "start")


def test_privileged_and_devices(home: Lodging) -> None:
    """Nodes are the machine's own, shown; nothing that the user could not open outside is to be opened inside."""
    home.ok("run", "--rm", "--device", "/dev/net/tun", "busybox", "test", "-c", "/dev/net/tun")
    seen = home.ok("run", "--rm", "--privileged", "busybox", "ls", "/dev").split()
    assert "null" in seen
    assert "vda" not in seen
    refused = home.sampan("run", "--rm", "--privileged", "busybox", "mknod", "/disk", "b", "8", "0")
    assert b"Operation not permitted" in refused.err


def test_without_a_setup_it_says_how_and_starts_with_pasta() -> None:
    with ordinary_user() as person:
        lost = person.sampan("ps")
        assert lost.code == 1
        assert b"sampan rootless setup" in lost.err
        checked = person.sampan("rootless", "check")
        assert checked.code == 0, checked
        assert "a rootless daemon can run here" in checked.text
        engine = Lodging(person)
        try:
            engine.ok("rootless", "start", "--network", "pasta")
            engine.load_busybox()
            assert engine.ok("run", "--rm", "busybox", "cat", "/etc/resolv.conf").endswith("nameserver 10.0.2.3")
            with socket.create_server((own_address(), 0)) as server:
                address, port = server.getsockname()[:2]
                answering = threading.Thread(target=greet, args=(server,))
                answering.start()
                assert (
                    engine.ok("run", "--rm", "busybox", "sh", "-c", f"timeout -s KILL 3 nc {address} {port}; true")
                    == "hello"
                )
                answering.join(10)
        finally:
            stopped: Outcome = person.sampan("rootless", "stop")
        assert stopped.code == 0, stopped


def greet(server: socket.socket) -> None:
    server.settimeout(20)
    client, _ = server.accept()
    with client:
        client.sendall(b"hello")


@requires("fuse", "fuse-overlayfs")
def test_where_the_kernel_refuses_overlay_fuse_overlayfs_merges(tmp_path: Path) -> None:
    """The user's data lies on an overlay, which takes no other as its upper layer. Marks are files there, not devices."""
    with ordinary_user() as person:
        engine = Lodging(person)
        for name in ("lower", "upper", "work"):
            (tmp_path / name).mkdir()
        engine.data_root.mkdir(parents=True)
        for place in (tmp_path / "upper", engine.data_root.parent.parent, engine.data_root.parent, engine.data_root):
            os.chown(place, person.uid, person.gid)
        options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, engine.data_root], check=True)
        try:
            checked = person.sampan("rootless", "check")
            assert b"fuse-overlayfs" in checked.out
            started = person.sampan("rootless", "setup", "--quiet", "--network", "none")
            assert started.code == 0, (started, engine.log_tail())
            engine.load_busybox()
            assert engine.ok("info", "--format", "{{.Driver}}") == "fuse-overlayfs"
            script = "rm -r /etc; mkdir /etc; echo one > /etc/one; mv /root /moved; chown 33:33 /moved; exec sleep 600"
            engine.ok("run", "-d", "--name", "first", "--net", "none", "busybox", "sh", "-c", script)
            eventually(lambda: "A /moved" in engine.ok("diff", "first").splitlines())
            engine.ok("rootless", "stop", "--daemon-only")
            engine.ok("commit", "first", "second")
            program = "cat /etc/one; ls -A /etc; stat -c %u /moved; ls -d /root"
            seen = engine.sampan("run", "--rm", "--net", "none", "second", "sh", "-c", program).text.split()
            assert seen[0] == "one"
            assert "33" in seen
            assert "passwd" not in seen
            engine.remove_containers()
        finally:
            stopped = person.sampan("rootless", "stop")
            subprocess.run(["umount", engine.data_root], check=True)
        assert stopped.code == 0, stopped


def test_check_says_what_is_missing_and_what_to_do() -> None:
    """A user without subordinate ids is told the line to write, and nothing is started for it."""
    with ordinary_user() as person:
        start = person.subordinate()[0]
        remove = ["usermod", "--del-subuids", f"{start}-{start + SUBORDINATE - 1}", person.name]
        subprocess.run(remove, check=True)
        try:
            checked = person.sampan("rootless", "check")
            assert checked.code == 1
            line = next(line for line in checked.text.splitlines() if line.startswith("/etc/subuid"))
            assert " NO " in line
            assert f"as root, add to /etc/subuid: {person.name}:" in line
            refused = person.sampan("rootless", "setup")
            assert refused.code == 1
            assert b"nothing was set up" in refused.err
            assert not (person.run_directory / "sampan/keeper.sock").exists()
        finally:
            subprocess.run([*remove[:1], "--add-subuids", *remove[2:]], check=True)


def test_a_managed_plugin_needs_control_groups(home: Lodging) -> None:
    assert home.api("POST", "/plugins/create?name=mine", managed.archive(managed.config())).status == 204
    try:
        refused = home.api("POST", "/plugins/mine/enable?timeout=0")
        assert refused.status == 501
        assert b"managed plugins in rootless mode without control groups are not implemented" in refused.body
    finally:
        assert home.api("DELETE", "/plugins/mine").status == 200
