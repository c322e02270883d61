"""How builds end: called off, killed with the daemon, beside each other; what is left of them is nothing."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.api.building import build, context, half_made
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox")

SLEEPER = "12345"
LONG = f"FROM busybox\nRUN echo kept > /kept\nRUN sleep {SLEEPER}\n"


def sleeping() -> list[int]:
    """Processes that are the sleeper of these builds."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sleep", SLEEPER.encode()]:
                found.append(int(entry.name))
    return found


class Client:
    """A build on a connection of its own, which can be cut."""

    def __init__(self, engine: Sampan, dockerfile: str, **query: str) -> None:
        body = context({"Dockerfile": dockerfile})
        head = f"POST /build?{urlencode(query)} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(60)
        self._sock.connect(str(engine.socket))
        self._sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._said = b""

    def wait_for(self, text: str) -> None:
        while text.encode() not in self._said:
            piece = self._sock.recv(1 << 16)
            assert piece, self._said
            self._said += piece

    def leave(self) -> None:
        self._sock.close()


@pytest.fixture
def own() -> Iterator[Sampan]:
    """A daemon that may be killed."""
    with running_sampan() as started:
        started.load_busybox()
        yield started


def test_a_client_that_leaves_calls_its_build_off(engine: Sampan) -> None:
    client = Client(engine, LONG, t="left")
    client.wait_for("Running in")
    eventually(sleeping, "the program does not run")
    client.leave()
    eventually(lambda: not sleeping(), "the program goes on")
    eventually(lambda: half_made(engine) == [], "the build has left something")
    assert engine.api("GET", "/images/left/json").status == 404
    # What was whole is kept.
    assert build(engine, "FROM busybox\nRUN echo kept > /kept\n").text.count("Using cache") == 1


def test_a_daemon_that_is_killed_leaves_nothing(own: Sampan) -> None:
    client = Client(own, LONG + "RUN --mount=type=secret,id=s true\n", t="lost")
    client.wait_for("Running in")
    eventually(sleeping, "the program does not run")
    own.kill()
    client.leave()
    # Nobody is there to end it but the monitor, whose only client is gone.
    eventually(lambda: not sleeping(), "the program outlives its build")
    own.start()
    eventually(lambda: half_made(own) == [], "the next daemon has left something")
    assert own.api("GET", "/containers/json?all=1").json() == []
    assert build(own, LONG.replace(SLEEPER, "0"), t="found").error == ""


def test_a_daemon_that_is_stopped_calls_builds_off(own: Sampan) -> None:
    client = Client(own, LONG)
    client.wait_for("Running in")
    eventually(sleeping, "the program does not run")
    own.stop()
    client.leave()
    assert not sleeping()
    own.start()
    assert half_made(own) == []


def test_stages_run_side_by_side(engine: Sampan) -> None:
    timed = "read a b < /proc/uptime; sleep 0.3; read c d < /proc/uptime"
    stages = "".join(f"FROM busybox AS {name}\nRUN {timed}; echo $a $c > /{name}\n" for name in ("one", "two"))
    text = f"{stages}FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN cat /one /two\n"
    built = build(engine, text, nocache="1")
    spans = [line.split() for line in built.text.splitlines() if line[:1].isdigit() and line.count(" ") == 1]
    (begun, ended), (other_begun, other_ended) = [(float(a), float(b)) for a, b in spans[-2:]]
    assert max(begun, other_begun) < min(ended, other_ended), built.text


def test_builds_beside_each_other(engine: Sampan) -> None:
    text = "FROM busybox\nRUN sleep 0.2; echo same > /same\nRUN echo {0} > /own\n"
    found: dict[int, str] = {}

    def one(number: int) -> None:
        found[number] = build(engine, text.format(number % 2), nocache="1").error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), "")
    assert half_made(engine) == []


def test_on_the_driver_that_copies() -> None:
    text = (
        "FROM busybox AS a\nRUN echo 1 > /1; rm /etc/group\nWORKDIR /w\nCOPY f /f\nRUN cat /f; touch /w/x\n"
        "FROM busybox\nCOPY --link --from=a /1 /d/\n"
        "RUN --mount=type=bind,from=a,target=/a,rw ls /a /a/w; touch /a/x\n"
    )
    with running_sampan("--storage-driver", "vfs") as engine:
        engine.load_busybox()
        built = build(engine, text, {"f": "content\n"}, t="copied")
        assert built.error == "", built
        assert "content\n" in built.text
        assert build(engine, text, {"f": "content\n"}).text.count("Using cache") == 6
        assert engine.docker("run", "--rm", "copied", "find", "/d").text == "/d\n/d/1"
        assert engine.sampan("system", "check").code == 0
