"""Networks of hostile containers, with a real daemon: advertisements, flushed rules, the host's ports, names that are none.

What a neighbour of the host can do is in tests/kernel/network, which makes the neighbours; docs/threat-model.md lists both.
"""

import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_names import pid
from tests.api.test_networks import SLEEP, address, inside, ok, reaches, run
from tests.daemons import Sampan
from tests.nameserver import in_network_of
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables", "nft", "ip")

_ETH_IPV6, _ICMP6 = 0x86DD, 58
_ALL_NODES = "ff02::1"
_PREFIX = "2001:db8:bad::"


@pytest.fixture(autouse=True)
def _containers_and_networks_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))


# CVE-2020-13401, CVE-2024-32473: router advertisements from a container


def advertisement(source_mac: bytes) -> bytes:
    """A frame to all nodes: "I am your router for 30 minutes, by preference; your prefix is 2001:db8:bad::/64"."""
    source = socket.inet_pton(socket.AF_INET6, "fe80::bad")
    target = socket.inet_pton(socket.AF_INET6, _ALL_NODES)
    prefix = struct.pack(">BBBBIII16s", 3, 4, 64, 0xC0, 1800, 1800, 0, socket.inet_pton(socket.AF_INET6, _PREFIX))
    route = struct.pack(">BBBBI16s", 24, 3, 0, 0x08, 1800, bytes(16))
    mac = struct.pack(">BB6s", 1, 1, source_mac)
    message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0x08, 1800, 0, 0) + prefix + route + mac
    pseudo = source + target + struct.pack(">IxxxB", len(message), _ICMP6)
    words = struct.unpack(f">{len(pseudo + message) // 2}H", pseudo + message)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack(">H", ~total & 0xFFFF) + message[4:]
    head = struct.pack(">IHBB", 6 << 28, len(message), _ICMP6, 255) + source + target
    return b"\x33\x33\0\0\0\1" + source_mac + struct.pack(">H", _ETH_IPV6) + head + message


def advertise(process: int) -> None:
    with in_network_of(process), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", _ETH_IPV6))
        for _ in range(5):
            sock.send(advertisement(sock.getsockname()[4]))


def learnt(process: int = 0) -> str:
    """What says ":bad" among routes and addresses of a network namespace; our own without a process."""
    within = ["nsenter", "--net", "--target", str(process)] if process else []
    told = [
        subprocess.run([*within, "ip", "-6", *words], check=True, capture_output=True, text=True).stdout
        for words in (("route", "show", "table", "all"), ("address", "show"))
    ]
    return "\n".join(line for line in "\n".join(told).splitlines() if ":bad" in line)


@pytest.mark.parametrize("families", [("--ipv6",), ()])
def test_sec_cve_2020_13401(engine: Sampan, families: tuple[str, ...]) -> None:
    ok(engine.docker("network", "create", *families, "back"))
    run(engine, "evil", "--network", "back")
    run(engine, "victim", "--network", "back")
    believes = "net.ipv6.conf.IFNAME.accept_ra=2"
    believer = f"name=back,driver-opt=com.docker.network.endpoint.sysctls={believes}" if families else "back"
    ok(engine.docker("run", "-d", "--name", "witness", f"--network={believer}", *SLEEP))
    advertise(pid(engine, "evil"))
    if families:
        # One that was told to believe routers proves that there was something to hear.
        eventually(lambda: "via fe80::bad" in learnt(pid(engine, "witness")), "no advertisement came")
    else:
        time.sleep(0.5)  # nobody can tell when it has been heard
        shown = ok(inside(engine, "victim", "ip", "address"))
        assert "fe80" not in shown
    assert learnt() == ""
    assert learnt(pid(engine, "victim")) == ""


# CVE-2025-54388, CVE-2025-54410: rules that somebody flushed


def test_sec_cve_2025_54388(engine: Sampan) -> None:
    for name in ("red", "blue"):
        ok(engine.docker("network", "create", "--ipv6", name))
        run(engine, name, "--network", name)
    target = address(engine, "blue", "blue")
    assert not reaches(engine, "red", target)
    for damage in ("delete table ip {}", "flush table ip {}", "delete table ip6 {}", "flush chain ip {} raw"):
        before = rules(engine)
        subprocess.run(["nft", *damage.format(f"sampan-{engine.instance}").split()], check=True)
        eventually(lambda before=before: rules(engine) == before, f"after {damage!r} the rules stay away", 10)  # type: ignore[misc]
        assert not reaches(engine, "red", target)


def rules(engine: Sampan) -> list[int]:
    """How many lines each family's table has."""
    listed = (
        subprocess.run(["nft", "list", "table", family, f"sampan-{engine.instance}"], check=False, capture_output=True)
        for family in ("ip", "ip6")
    )
    return [len(one.stdout.splitlines()) for one in listed]


# CVE-2025-9074, CVE-2021-4024: nothing of the engine's listens where a container of any network can call


def test_sec_cve_2021_4024(engine: Sampan) -> None:
    assert engine.process is not None
    ok(engine.docker("network", "create", "--ipv6", "open"))
    ok(engine.docker("network", "create", "--internal", "inner"))
    for name in ("open", "inner"):
        run(engine, name, "--network", name, "-p", "80")
    mine = {str(path) for path in (engine.data_root, engine.exec_root, engine.directory)}
    seen = listeners_of(engine)
    # Ports are held for containers; sampan-net's are in their namespaces. Else only sockets with a name, closed to others.
    assert all(port in published(engine) for port in seen["ports"]), seen
    assert seen["abstract"] == []
    for path in seen["paths"]:
        if os.path.exists(path):
            assert os.stat(path).st_mode & 0o007 == 0, path
            assert any(path.startswith(one) for one in mine), path


def listeners_of(engine: Sampan) -> dict[str, list[str]]:
    """Sockets that listen, of processes of this engine in the host's network: TCP ports, unix paths, abstract names."""
    found: dict[str, list[str]] = {"ports": [], "paths": [], "abstract": []}
    listed = subprocess.run(["ss", "-Hlntxp"], check=True, capture_output=True, text=True).stdout
    held = {str(one) for one in pids_of(engine)}
    for line in listed.splitlines():
        fields = line.split()
        if not any(f"pid={one}," in line for one in held):
            continue
        where = fields[4]
        if fields[0] == "tcp":
            found["ports"].append(where.rpartition(":")[2])
        else:
            found["abstract" if where.startswith("@") else "paths"].append(where)
    return found


def pids_of(engine: Sampan) -> set[int]:
    """The daemon, and whatever names its directories or descends from its launcher."""
    found = set()
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            for descriptor in os.listdir(f"/proc/{name}/fd"):
                if os.readlink(f"/proc/{name}/fd/{descriptor}").startswith(str(engine.directory)):
                    found.add(int(name))
                    break
        except OSError:
            continue
    assert engine.process is not None
    return found | {engine.process.pid}


def published(engine: Sampan) -> set[str]:
    ports = set()
    for container in json.loads(engine.api("GET", "/containers/json").body):
        ports |= {str(port.get("PublicPort")) for port in container["Ports"]}
    return ports


# CVE-2023-28840, -28841, -28842: what is not there is not half there


def test_sec_cve_2023_28840(engine: Sampan) -> None:
    body = {"Name": "secret", "Driver": "overlay", "Options": {"encrypted": ""}}
    assert engine.api("POST", "/networks/create", body).status == 403
    assert engine.api("GET", "/networks/secret").status == 404


# Names and addresses that would start lines or records of their own


@pytest.mark.parametrize(
    "settings",
    [
        {"Aliases": ["a\n10.0.0.1 evil"]},
        {"Aliases": ["a\0b"]},
        {"Aliases": ["a" * 256]},
        {"Aliases": [f"a{number}" for number in range(65)]},
        {"Links": ["one\nevil:db"]},
        {"IPAMConfig": {"IPv4Address": "10.0.0.1\n"}},
        {"IPAMConfig": {"LinkLocalIPs": ["fe80::1%eth0\nx"]}},
        {"MacAddress": "02:42:0a:00:00:01\n"},
        {"DriverOpts": {"com.docker.network.endpoint.ifname": "../../evil"}},
        {
            "DriverOpts": {
                "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.x/../../../kernel/core_pattern=|x"
            }
        },
        {"DriverOpts": {"com.docker.network.endpoint.sysctls": "kernel.core_pattern=|x"}},
    ],
)
def test_sec_injection_by_end_points(engine: Sampan, settings: dict[str, object]) -> None:
    ok(engine.docker("network", "create", "--subnet", "10.77.0.0/24", "back"))
    run(engine, "one")
    core = Path("/proc/sys/kernel/core_pattern").read_text()
    answer = engine.api("POST", "/networks/back/connect", {"Container": "one", "EndpointConfig": settings})
    assert answer.status == 400, answer
    assert "back" not in json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", "one")))
    network = {"HostConfig": {"NetworkMode": "back"}, "NetworkingConfig": {"EndpointsConfig": {"back": settings}}}
    created = engine.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **network})
    assert created.status == 400, created
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core
