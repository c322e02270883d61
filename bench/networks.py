"""Networks measured: what flows between containers, host and neighbours; names answered a second; what a network adds to a start.

    client ── user network ── server           container → container
    client ── its gateway (host)               container → host
    neighbour ─ wire ─ host :5201 ── server    through a published port

Both engines have the same image (this machine's iperf3) and the same addresses, each in a network namespace of its own.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measures import PAUSE, one_life
from bench.samples import Samples
from bench.wire import Wire
from sampan.network import dns
from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Daemon
from tests.nameserver import in_network_of, query, says, serving, socket_in
from tests.waiting import eventually

_IPERF3 = Path("/usr/bin/iperf3")
_IMAGE = "bench-iperf3"
_PORT, _HOST_PORT = 5201, 5202
_SECONDS = 1
_SUBNETS = ("10.251.1.0/24", "fd25:1::/64")
_WIRE = {4: ("10.251.9.1", "10.251.9.2"), 6: ("fd25:9::1", "fd25:9::2")}
_PREFIX = {4: 24, 6: 64}
_UPSTREAM = "127.53.1.1"
_WINDOW = 32
"""Questions under way at a time, as of that many programs in a container."""

OWN_HOST = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""For an engine that is to stand alone on its host, as Docker's test daemon does: without the rules of others."""
WAYS = ("container → container", "container → host", "through a published port")


@dataclass(frozen=True)
class Site:
    """An engine with a server and a client in one network, and a neighbour of its host. `within` runs a command on that host."""

    engine: Daemon
    within: tuple[str, ...]
    neighbour: tuple[str, ...]

    def rate(self, way: str, version: int) -> float:
        """Bits a second of one TCP connection, as the receiver counts them."""
        client: tuple[str, ...] = ("docker", "exec", "client", "iperf3")
        match way:
            case "container → container":
                target, port = _address(self.engine, "server", version), _PORT
            case "container → host":
                target, port = str(_network(self.engine)[version]), _HOST_PORT
            case _:
                target, port, client = _WIRE[version][0], _PORT, (*self.neighbour, str(_IPERF3))
        measured = [*client, "-c", target, "-p", str(port), "-t", str(_SECONDS), "-J"]
        done = subprocess.run(
            measured, check=False, capture_output=True, env={**os.environ, "DOCKER_HOST": self.engine.host}, timeout=60
        )
        told = json.loads(done.stdout)
        if "error" in told:
            raise RuntimeError(f"{self.engine.kind}, {way}, IPv{version}: {told['error']}")
        return float(told["end"]["sum_received"]["bits_per_second"])


@contextmanager
def site(engine: Daemon) -> Iterator[Site]:
    """Containers, network and neighbour; all of it goes at the end."""
    assert engine.process is not None
    within = ("nsenter", "--net", "--target", str(engine.process.pid))
    with ExitStack() as stack:
        neighbour = stack.enter_context(_neighbour(within))
        stack.callback(_removed, engine)
        _run(engine, "load", stdin=_image())
        pools = [word for subnet in _SUBNETS for word in ("--subnet", subnet)]
        _run(engine, "network", "create", "--ipv6", *pools, "bench")
        _run(
            engine,
            "run",
            "-d",
            "--name",
            "server",
            "--network",
            "bench",
            "-p",
            f"{_PORT}:{_PORT}",
            _IMAGE,
            "iperf3",
            "-s",
        )
        _run(engine, "run", "-d", "--name", "client", "--network", "bench", _IMAGE, "sleep", "100000")
        listening = subprocess.Popen([*within, str(_IPERF3), "-s", "-p", str(_HOST_PORT)], stdout=subprocess.DEVNULL)
        stack.callback(listening.wait)
        stack.callback(listening.terminate)
        time.sleep(1)  # both servers are up by then
        yield Site(engine, within, neighbour)


@contextmanager
def _neighbour(within: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Another host at the end of a wire: the command that runs something there."""
    waiting = subprocess.Popen(["unshare", "--net", "sleep", "100000"])
    there = ("nsenter", "--net", "--target", str(waiting.pid))
    try:
        home = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{waiting.pid}/ns/net") != home, "no namespace for the neighbour")
        pair = ["link", "add", "benchwire", "type", "veth", "peer", "name", "wire", "netns", str(waiting.pid)]
        subprocess.run([*within, "ip", *pair], check=True)
        for at, link, side in ((within, "benchwire", 0), (there, "wire", 1)):
            for version, ends in _WIRE.items():
                nodad = ["nodad"] if version == 6 else []
                address = f"{ends[side]}/{_PREFIX[version]}"
                subprocess.run([*at, "ip", "address", "add", address, "dev", link, *nodad], check=True)
            subprocess.run([*at, "ip", "link", "set", link, "up"], check=True)
        yield there
    finally:
        waiting.kill()
        waiting.wait()


def rates(sites: tuple[Site, Site], way: str, version: int, rounds: int) -> tuple[list[float], list[float]]:
    """Bits a second of each, in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for one, taken in zip(sites, found, strict=True):
            taken.append(one.rate(way, version))
    return found


def answers(engine: Daemon, wanted: list[str], seconds: float) -> float:
    """Answers a second to one container that asks for these names in turn, with a window of questions under way."""
    inner = int(_run(engine, "inspect", "-f", "{{.State.Pid}}", "client"))
    packets = [query(name, number=number) for number, name in enumerate(wanted)]
    with socket_in(inner, 2) as sock:
        sock.connect(("127.0.0.11", 53))
        for packet in packets:
            sock.send(packet)
            if sock.recv(4096)[6:8] == b"\0\0":
                raise RuntimeError(f"{engine.kind} does not know {dns.parse_query(packet).name!r}")
        for number in range(_WINDOW):
            sock.send(packets[number % len(packets)])
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            for packet in packets:
                sock.recv(4096)
                sock.send(packet)
            count += len(packets)
        return count / (time.perf_counter() - began)


def names_of_containers(engine: Daemon, seconds: float) -> float:
    """Answers a second out of what the engine knows itself."""
    return answers(engine, ["server", "client"], seconds)


def names_of_the_cache(engine: Daemon, seconds: float) -> float:
    """Answers a second to names of the outside that were asked for before."""
    assert engine.process is not None
    _run(engine, "rm", "-f", "client")
    try:
        with in_network_of(engine.process.pid), serving(_UPSTREAM, says("192.0.2.1", ttl=3600)) as server:
            _run(
                engine,
                "run",
                "-d",
                "--name",
                "client",
                "--network",
                "bench",
                "--dns",
                _UPSTREAM,
                _IMAGE,
                "sleep",
                "100000",
            )
            names = [f"www{number}.example.com" for number in range(100)]
            found = answers(engine, names, seconds)
            if len(server.asked) != len(names):
                raise RuntimeError(f"{len(server.asked)} questions went out for {len(names)} names")
            return found
    finally:
        _run(engine, "rm", "-f", "client")


def part_of_a_start(engine: Daemon, repetitions: int) -> float:
    """What a place on the default bridge adds to create → exit: seconds between the medians of lives with and without, in turns."""
    wire = Wire(str(engine.socket))
    taken: dict[str, list[float]] = {"none": [], "bridge": []}
    for _ in range(repetitions + 3):
        for network, found in taken.items():
            time.sleep(PAUSE)
            found.append(one_life(wire, network)[0])
    wire.close()
    without, with_it = (Samples(tuple(found[3:])).p50 for found in taken.values())
    return with_it - without


def _image() -> bytes:
    """busybox, and iperf3 with the libraries that it asks for."""
    layer = Layer()
    layer.directory("lib64")
    for directory in ("lib", "lib/x86_64-linux-gnu", "usr/bin"):
        layer.directory(directory)
    layer.file("usr/bin/iperf3", _IPERF3.read_bytes(), 0o755)
    told = subprocess.run(["ldd", str(_IPERF3)], check=True, capture_output=True, text=True).stdout
    for path in re.findall(r"(/\S+) \(0x", told):
        layer.file(path.lstrip("/"), Path(path).resolve().read_bytes(), 0o755)
    return docker_archive(f"{_IMAGE}:latest", [busybox_rootfs(), layer.tar()], {"Cmd": ["sh"], "Env": [PATH]})


def _address(engine: Daemon, container: str, version: int) -> str:
    member = "IPAddress" if version == 4 else "GlobalIPv6Address"
    return _run(engine, "inspect", "-f", '{{(index .NetworkSettings.Networks "bench").' + member + "}}", container)


def _network(engine: Daemon) -> dict[int, str]:
    """The gateways, by version."""
    shown = json.loads(_run(engine, "network", "inspect", "bench"))[0]["IPAM"]["Config"]
    found = {6 if ":" in pool["Subnet"] else 4: pool.get("Gateway", "") for pool in shown}
    return {4: found[4] or "10.251.1.1", 6: found[6] or "fd25:1::1"}


def _removed(engine: Daemon) -> None:
    engine.remove_containers()
    engine.docker("network", "rm", "bench")


def _run(engine: Daemon, *words: str, stdin: bytes = b"") -> str:
    done = engine.docker(*words, stdin=stdin)
    if done.code:
        raise RuntimeError(f"{engine.kind}: docker {' '.join(words)}: {done.err.decode(errors='replace')}")
    return done.text
