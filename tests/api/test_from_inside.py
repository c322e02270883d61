"""Tools in containers: they find their own id as under Docker, and an engine behind the socket that is bound into them."""

import sys
import time
from pathlib import Path

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
    # What stands in front is where this machine itself stands: nothing, unless it is a container. systemd has scopes.
    own = (f"/docker/{identity}", f"/system.slice/docker-{identity}.scope")
    assert [path for path in paths if not path.endswith(own)] == []


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


NESTED = f"""
PATH={Path(sys.executable).parent}:$PATH
export DOCKER_HOST=unix:///n/socket
sampand --data-root /n/data --exec-root /n/run -H unix:///n/socket --pidfile /n/pid >/n/log 2>&1 & daemon=$!
for i in $(seq 600); do sampan version >/dev/null 2>&1 && break; sleep 0.1; done
cat /proc/self/cgroup
echo and
sampan run --rm -m 64m --pids-limit 20 --network none host sh -c '
    cd /sys/fs/cgroup
    cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max
    cat pids/pids.max 2>/dev/null || cat pids.max'
sampan run --rm --network none --cgroupns host host cat /proc/self/cgroup || cat /n/log
kill $daemon
wait $daemon
"""


def test_a_daemon_in_a_container_finds_its_own_root(engine: Sampan) -> None:
    """Its groups stand in those of its container, and their limits hold."""
    words = ("run", "--rm", "--privileged", "--network", "none", "-v", "/n", "host", "bash", "-c", NESTED)
    outcome = engine.sampan(*words, timeout=240)
    before, _, after = outcome.text.partition("\nand\n")
    memory, pids, *groups = after.splitlines()
    assert (memory, pids) == (str(64 << 20), "20"), outcome
    around = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in before.splitlines()}
    for line in groups:
        _, controller, group = line.split(":", 2)
        assert group.startswith(f"{around[controller].rstrip('/')}/docker/") or not controller, outcome
