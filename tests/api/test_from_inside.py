"""Tools in containers: they find their own id as under Docker, and an engine behind the socket that is bound into them."""

import time

from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "docker-client", "busybox")

PING = """
import socket
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(60)
    sock.connect("/var/run/docker.sock")
    sock.sendall(b"GET /containers/json HTTP/1.0\\r\\nHost: d\\r\\n\\r\\n")
    print(sock.recv(100).split(b"\\r\\n")[0].decode())
"""


def test_a_program_finds_its_containers_id(engine: Sampan) -> None:
    started = engine.docker("run", "--cgroupns", "host", "--name", "own", "busybox", "cat", "/proc/self/cgroup")
    identity = engine.docker("inspect", "--format", "{{.Id}}", "own").text
    engine.remove_containers()
    paths = {line.rpartition(":")[2] for line in started.text.splitlines()}
    assert paths
    # What stands in front is where this machine itself stands: nothing, unless it is a container.
    assert {path[path.rindex("/docker/") :] for path in paths} == {f"/docker/{identity}"}


def test_the_api_behind_a_bound_socket_outlives_the_daemon() -> None:
    with running_sampan() as engine:
        bound = f"{engine.socket}:/var/run/docker.sock"
        started = engine.docker("run", "-d", "--name", "tool", "-v", bound, "host", "sleep", "10000")
        assert started.code == 0, started
        assert engine.docker("exec", "tool", "python3", "-c", PING).text == "HTTP/1.1 200 OK"
        engine.kill()
        engine.start()
        deadline = time.monotonic() + 60
        while (asked := engine.docker("exec", "tool", "python3", "-c", PING)).text != "HTTP/1.1 200 OK":
            assert time.monotonic() < deadline, asked


def test_the_usual_path_of_the_socket_is_this_engines(engine: Sampan) -> None:
    """Where the machine has no Docker of its own, tools that bind /var/run/docker.sock get Sampan's."""
    bound = "/var/run/docker.sock:/var/run/docker.sock"
    outcome = engine.docker("run", "--rm", "-v", bound, "busybox", "test", "-S", "/var/run/docker.sock")
    assert outcome.code == 0, outcome
