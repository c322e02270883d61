"""Published SCTP ports, on a kernel that has SCTP: from the host itself, from a neighbour, by IPv6, and over the daemon's death."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.vm.conftest import sampan, shell

SERVE = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
server.bind((sys.argv[1], 9))
server.listen(8)
print("ready", flush=True)
while True:
    client, peer = server.accept()
    client.send(f"{client.recv(100).decode()} from {peer[0]}".encode())
    client.close()
"""
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
client.settimeout(10)
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(b"hello")
print(client.recv(100).decode())
"""
HOST, NEIGHBOUR = "10.94.0.1", "10.94.0.2"


@pytest.fixture(scope="module")
def neighbour(service: None) -> Iterator[None]:
    shell("modprobe", "sctp")
    for words in (
        "netns add sctp",
        "link add sctp type veth peer name sctp netns sctp",
        f"address add {HOST}/24 dev sctp",
        "link set sctp up",
        f"-n sctp address add {NEIGHBOUR}/24 dev sctp",
        "-n sctp link set sctp up",
    ):
        shell("ip", *words.split())
    yield
    shell("ip", "link", "delete", "sctp")
    shell("ip", "netns", "delete", "sctp")


@pytest.fixture
def serving(neighbour: None) -> Iterator[None]:
    """A container whose port 9 answers, by both families, on the host's 9999."""
    sampan("network", "create", "--ipv6", "--subnet", "10.93.0.0/24", "--subnet", "fd93::/64", "both")
    sampan("run", "-d", "--name", "server", "--network", "both", "-p", "9999:9/sctp", "busybox", "sleep", "1000")
    pid = sampan("inspect", "-f", "{{.State.Pid}}", "server")
    servers = []
    for address in ("0.0.0.0", "::"):
        command = ["nsenter", "-t", pid, "-n", sys.executable, "-c", SERVE, address]
        if address == "::":
            command[-2] = SERVE.replace("server.bind", "server.setsockopt(41, 26, 1)\nserver.bind")
        servers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        line = servers[-1].stdout
        assert line is not None
        assert line.readline() == b"ready\n"
    yield
    for server in servers:
        server.kill()
        with server:
            pass
    sampan("rm", "-f", "server")
    sampan("network", "rm", "both")


def published(name: str) -> list[tuple[str, str]]:
    found = json.loads(sampan("inspect", "-f", "{{json .NetworkSettings.Ports}}", name))
    return [(one["HostIp"], one["HostPort"]) for one in found["9/sctp"]]


def asked(address: str, *before: str, port: int = 9999) -> str:
    return shell(*before, sys.executable, "-c", ASK, address, str(port), expect=None)


def test_it_is_reached_by_whom_it_is_published_to(serving: None) -> None:
    assert published("server") == [("0.0.0.0", "9999"), ("::", "9999")]
    assert "9/sctp" in sampan("ps", "--format", "{{.Ports}}")
    assert asked(HOST, "ip", "netns", "exec", "sctp") == f"hello from {NEIGHBOUR}"
    assert asked("127.0.0.1").startswith("hello from 10.93.0.")
    assert asked("fd93::2", port=9).startswith("hello from fd93::")
    shell("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "sampan.service")
    assert asked(HOST, "ip", "netns", "exec", "sctp") == f"hello from {NEIGHBOUR}"
    shell("systemctl", "restart", "sampan.service")
    assert asked(HOST, "ip", "netns", "exec", "sctp") == f"hello from {NEIGHBOUR}"


def test_the_host_s_port_is_taken(serving: None) -> None:
    taken = shell(sys.executable, "-c", SERVE.replace("9))", "9999))").replace("sys.argv[1]", "'0.0.0.0'"), expect=1)
    assert "Address already in use" in taken
    refused = sampan("run", "-d", "--name", "more", "-p", "9999:9/sctp", "busybox", "true", expect=125)
    assert "port is already allocated" in refused
    sampan("rm", "more")
    # The same number of another protocol is another port.
    sampan("run", "--rm", "-p", "9999:9", "busybox", "true")


def test_who_has_ipv4_alone_is_not_reached_by_ipv6(neighbour: None) -> None:
    sampan("run", "-d", "--name", "single", "-p", "9998:9/sctp", "busybox", "sleep", "1000")
    assert published("single") == [("0.0.0.0", "9998")]
    sampan("rm", "-f", "single")
