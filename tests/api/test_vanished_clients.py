"""Clients that vanish in the middle of whatever the API streams: nothing of them stays in the daemon, nor beside it."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bench import host
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox")

CLIENTS = 8


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        command = ["sh", "-c", "while :; do echo line; sleep 0.05; done"]
        body = {"Image": "busybox", "Cmd": command, "OpenStdin": True, "HostConfig": {"NetworkMode": "none"}}
        assert started.api("POST", "/containers/create?name=box", body).status == 201
        assert started.api("POST", "/containers/box/start").status == 204
        # Its monitor has taken over from who made it, and slots are ready again.
        eventually(lambda: held(started).sockets >= 2)
        yield started


@dataclass(frozen=True)
class Held:
    """What a client could leave: of the daemon, and of the processes that serve it."""

    descriptors: int
    threads: int
    tasks: int
    listeners: int
    followers: int
    sockets: int
    """that others of the engine's processes have, the box's monitor above all"""


def held(engine: Sampan) -> Held:
    assert engine.process is not None
    pid = engine.process.pid
    info = engine.api("GET", "/info").json()
    assert isinstance(info, dict)
    others = host.processes_of(pid, str(engine.directory)) - {pid}
    titles = {other: _title(other) for other in others}
    return Held(
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        tasks=info["NGoroutines"],
        listeners=info["NEventsListener"],
        followers=sum(title.startswith("sampan-follower") for title in titles.values()),
        sockets=sum(_sockets(other) for other, title in titles.items() if _supervises(title)),
    )


def _title(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _supervises(title: str) -> bool:
    """Whether it is a container's monitor, and not that of a parked slot."""
    return title.startswith("sampan-monitor") and "(" not in title


def _sockets(pid: int) -> int:
    try:
        return sum(
            os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:") for name in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return 0


def head(method: str, path: str, *more: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: docker", *more, "", ""]).encode()


UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
CHUNKED = ("Content-Type: application/x-tar", "Transfer-Encoding: chunked")
REQUESTS = {
    "half a head": b"GET /_ping HT",
    "an idle connection": head("GET", "/_ping"),
    "events": head("GET", "/events"),
    "a followed log": head("GET", "/containers/box/logs?stdout=1&follow=1"),
    "a log": head("GET", "/containers/box/logs?stdout=1"),
    "stats": head("GET", "/containers/box/stats"),
    "a wait": head("POST", "/containers/box/wait"),
    "an attach": head("POST", "/containers/box/attach?stream=1&stdout=1&stdin=1", *UPGRADE),
    "an attach without an upgrade": head("POST", "/containers/box/attach?stream=1&stdout=1&logs=1"),
    "half a body of JSON": head("POST", "/containers/create", "Content-Type: application/json", "Content-Length: 99")
    + b"{",
    "half an archive to load": head("POST", "/images/load", *CHUNKED) + b"5\r\nabcde\r\n",
    "half a context": head("POST", "/build?networkmode=none", *CHUNKED) + b"200\r\n" + bytes(512) + b"\r\n",
    "half an archive into a container": head("PUT", "/containers/box/archive?path=/", *CHUNKED) + b"200\r\n",
    "an archive out of a container": head("GET", "/containers/box/archive?path=/bin"),
    "an export": head("GET", "/containers/box/export"),
    "a saved image": head("GET", "/images/busybox/get"),
    "disk usage": head("GET", "/system/df"),
    "a check": head("POST", "/sampan/check"),
    "BuildKit's protocol": head("POST", "/grpc", "Connection: Upgrade", "Upgrade: h2c"),
    "a session": head("POST", "/session", "Connection: Upgrade", "Upgrade: h2c", "X-Docker-Expose-Session-Uuid: x"),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_nothing_stays_of_clients_that_vanish(engine: Sampan, what: str) -> None:
    engine.api("GET", "/system/df")  # threads that come with their first work stay
    vanish(engine, REQUESTS[what], 1)
    before = held(engine)
    vanish(engine, REQUESTS[what], CLIENTS)

    def over() -> bool:
        now = held(engine)
        # A worker thread or a spare layer may come with the work; not one for each client.
        return (
            now.descriptors <= before.descriptors + 3
            and now.threads <= before.threads + 4
            and now.tasks <= before.tasks + 1
            and (now.listeners, now.followers) <= (before.listeners, before.followers)
            and now.sockets <= before.sockets
        )

    eventually(over, f"{what}: {before} became {held(engine)}", 30)


def vanish(engine: Sampan, request: bytes, clients: int) -> None:
    """Ask; half of them read a bit of what comes. With what is unread a connection is broken off where it is closed (unix(7))."""
    connected = []
    for number in range(clients):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(engine.socket))
        sock.sendall(request)
        connected.append(sock)
        if number % 2:
            sock.settimeout(0.1)
            try:
                sock.recv(4096)
            except TimeoutError:
                continue
    for sock in connected:
        sock.close()
