"""A daemon that can open a few descriptors more, and then none: a request fails, or does what it says, and nothing stays open.

Each request comes on a connection that is open already, again and again with one descriptor more.
"""

import http.client
import json
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests import processes
from tests.archives import Layer, docker_archive
from tests.daemons import Sampan, UnixConnection, running_sampan
from tests.requires import requires
from tests.squeezing import limited
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox"), pytest.mark.crash]

MOST = 10
PATIENCE = 30.0
SETTLED = 100
"""Looks, one in 10 ms or more, that have to be alike."""
KEPT = ("/proc/stat",)
"""What the daemon keeps from its first use on."""

Request = tuple[str, str, object]


@dataclass(frozen=True)
class Case:
    """`act` with what has to be done before and afterwards; what is done afterwards may find nothing to do."""

    act: Request
    before: tuple[Request, ...] = ()
    after: tuple[Request, ...] = ()


def container(network: str = "none", **host: object) -> Request:
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": network, **host}}
    return "POST", "/containers/create?name=short", body


START: Request = ("POST", "/containers/short/start", None)
GONE: Request = ("DELETE", "/containers/short?force=1&v=1", None)


def tar(name: str, data: bytes) -> bytes:
    made = Layer()
    made.file(name, data)
    return made.tar()


DOCKERFILE = b"FROM busybox\nRUN echo 1 > /x\nCOPY Dockerfile /y\n"
JOIN, LEAVE = "/networks/other/connect", "/networks/other/disconnect"
CASES = {
    "create": Case(container(Binds=["kept:/v"]), (), (GONE,)),
    "start": Case(START, (container(Binds=["kept:/v", "/etc:/e:ro"]),), (GONE,)),
    "start with ports": Case(START, (container("one", PortBindings={"80/tcp": [{"HostPort": ""}]}),), (GONE,)),
    "stop": Case(("POST", "/containers/short/stop?t=0", None), (container("one"), START), (GONE,)),
    "restart": Case(("POST", "/containers/short/restart?t=0", None), (container("one"), START), (GONE,)),
    "remove": Case(GONE, (container("one"), START), (GONE,)),
    "pause": Case(("POST", "/containers/stays/pause", None), (), (("POST", "/containers/stays/unpause", None),)),
    "load": Case(
        ("POST", "/images/load", docker_archive("short:latest", [tar("a", b"a" * 65536)], {})),
        after=(("DELETE", "/images/short?force=1", None),),
    ),
    "commit": Case(
        ("POST", "/commit?container=stays&repo=short", {}), after=(("DELETE", "/images/short?force=1", None),)
    ),
    "build": Case(
        ("POST", "/build?t=short&nocache=1&networkmode=none", tar("Dockerfile", DOCKERFILE)),
        after=(("DELETE", "/images/short?force=1", None),),
    ),
    "copy in": Case(("PUT", "/containers/stays/archive?path=/tmp", tar("b", b"b" * 1000))),
    "copy out": Case(("GET", "/containers/stays/archive?path=/bin/busybox", None)),
    "copy out of one at rest": Case(("GET", "/containers/short/archive?path=/etc", None), (container(),), (GONE,)),
    "logs": Case(("GET", "/containers/stays/logs?stdout=1", None)),
    "statistics": Case(("GET", "/containers/stays/stats?stream=0", None)),
    "changes": Case(("GET", "/containers/stays/changes", None)),
    "connect": Case(("POST", JOIN, {"Container": "stays"}), after=(("POST", LEAVE, {"Container": "stays"}),)),
    "disconnect": Case(
        ("POST", LEAVE, {"Container": "stays"}),
        (("POST", JOIN, {"Container": "stays"}),),
        (("POST", LEAVE, {"Container": "stays"}),),
    ),
    "network": Case(("POST", "/networks/create", {"Name": "short"}), after=(("DELETE", "/networks/short", None),)),
    "volume": Case(("POST", "/volumes/create", {"Name": "short"}), after=(("DELETE", "/volumes/short", None),)),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        for name in ("one", "other"):
            assert started.api("POST", "/networks/create", {"Name": name}).status == 201
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "one"}}
        assert started.api("POST", "/containers/create?name=stays", body).status == 201
        assert started.api("POST", "/containers/stays/start").status == 204
        yield started


@pytest.fixture(scope="module")
def usual(engine: Sampan) -> Counter[str]:
    """What is open where nobody asks for anything and every slot is made."""
    seen: list[Counter[str]] = []

    def settled() -> bool:
        seen.append(kinds(engine))
        return len(seen) > SETTLED and all(one == seen[-1] for one in seen[-SETTLED:])

    eventually(settled)
    return seen[-1]


def kinds(engine: Sampan) -> Counter[str]:
    """How many there are of each; of sockets and pipes none is like the other."""
    assert engine.process is not None
    links = processes.descriptors(engine.process.pid).values()
    return Counter(
        link.split(":")[0] if link.startswith(("socket:", "pipe:")) else link for link in links if link not in KEPT
    )


def limit(engine: Sampan, spare: int) -> int:
    """The RLIMIT_NOFILE with which exactly `spare` more can be opened."""
    assert engine.process is not None
    used, number = processes.descriptors(engine.process.pid), 0
    while spare or number in used:
        spare -= number not in used
        number += 1
    return number


def asked(connection: UnixConnection, request: Request) -> bool:
    """Whether it was done."""
    method, path, body = request
    kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    try:
        connection.request(method, path, sent, {"Content-Type": kind})
        answer = connection.getresponse()
        told = answer.read()
    except (OSError, http.client.HTTPException):
        return False
    return answer.status < 300 and b'"errorDetail"' not in told


@pytest.mark.parametrize("name", CASES)
def test_nothing_stays_open(engine: Sampan, usual: Counter[str], name: str) -> None:
    assert engine.process is not None
    case, done = CASES[name], []
    for spare in range(MOST):
        for request in case.before:
            assert engine.api(*request).status < 300, (request, spare)
        connection = UnixConnection(engine.socket, PATIENCE)
        try:
            assert asked(connection, ("GET", "/_ping", None))
            with limited(engine.process.pid, resource.RLIMIT_NOFILE, limit(engine, spare)):
                done.append(asked(connection, case.act))
        finally:
            connection.close()
        for request in case.after:
            engine.api(*request)
        eventually(lambda: kinds(engine) <= usual, _stay(engine, usual, spare))
        inspected = engine.api("GET", "/containers/stays/json").json()
        assert isinstance(inspected, dict)
        assert inspected["State"]["Status"] == "running", spare
    for request in (*case.before, case.act):
        assert engine.api(*request).status < 300, request
    for request in case.after:
        engine.api(*request)
    assert done[-1] or not done[0], done


def _stay(engine: Sampan, usual: Counter[str], spare: int) -> Callable[[], str]:
    return lambda: f"with {spare} more, these stay open: {kinds(engine) - usual}"
