"""Clients of a program's streams with real containers: many at once, too slow, half gone, gone; by HTTP and by websocket."""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests import processes
from tests.api.scenes import Box, Stream
from tests.daemons import Sampan, free_port, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox")

NO_NETWORK = {"NetworkMode": "none"}
MEGABYTES = 64
FLOOD = f"head -c {MEGABYTES << 20} /dev/zero | tr '\\0' x; echo; echo end"
BOUND = 32 << 20
WAIT = 120.0


@pytest.fixture(autouse=True)
def _containers_removed(engine: Sampan) -> Iterator[None]:
    yield
    while Stream.opened:
        Stream.opened.pop().close()
    engine.remove_containers()


def peak(pid: int) -> int:
    """The most memory that a process has had in use, in bytes; 0 where it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


class Reading:
    """A stream that is read in a thread to its end."""

    def __init__(self, stream: Stream, keep: bool = False) -> None:
        self.size = len(stream.seen)
        self.tail = stream.seen[-100:]
        self.kept = bytearray(stream.seen)
        self._keep = keep
        self.sock = stream.sock
        self.sock.settimeout(WAIT)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        while piece := self.sock.recv(1 << 18):
            self.size += len(piece)
            self.tail = (self.tail + piece)[-100:]
            if self._keep:
                self.kept += piece

    def end(self) -> None:
        self.thread.join(WAIT)
        assert not self.thread.is_alive()


def gated(script: str) -> tuple[str, str, str]:
    """A command that waits for a line before it begins, so that everybody is attached by then."""
    return "sh", "-c", f"read -r x; {script}"


def test_a_client_that_never_reads_costs_a_bound_and_no_more(engine: Sampan) -> None:
    box = Box(engine, *gated(FLOOD), host=NO_NETWORK, OpenStdin=True)
    stalled, other = box.attach(), box.attach()
    box.start()
    monitor = box.monitor()
    stalled.say(b"\n")
    reading = Reading(other)
    # Everybody waits for the slowest, as in Docker: here it is the program that does, not the monitor's memory that grows.
    eventually(lambda: reading.size > 1 << 20, "nothing comes", WAIT)
    assert box.run("echo", "alive") == "alive"
    assert 0 < peak(monitor) < BOUND
    stalled.sock.close()
    reading.end()
    assert reading.tail.endswith(b"end\n")
    assert reading.size > MEGABYTES << 20
    box.ended(0)


def test_a_flood_without_a_newline_and_a_stalled_reader_of_the_log(engine: Sampan) -> None:
    config = {"Type": "json-file", "Config": {"max-size": "4m", "max-file": "2"}}
    box = Box(engine, *gated(f"i=0; while [ $i -lt 4 ]; do {FLOOD}; i=$((i+1)); done"), OpenStdin=True,
              host={**NO_NETWORK, "LogConfig": config})  # fmt: skip
    starter = Stream(engine, f"/containers/{box.id}/attach?stream=1&stdin=1")
    box.start()
    monitor = box.monitor()
    stalled = box.follow()
    starter.say(b"\n")
    peaks = [peak(monitor)]

    def ended() -> bool:
        peaks.append(peak(monitor))
        return bool(box.state()["Status"] == "exited")

    eventually(ended, "a reader of the log holds the program up", WAIT)
    assert box.state()["ExitCode"] == 0
    assert 0 < max(peaks) < BOUND
    directory = Path(str(box.inspect()["LogPath"])).parent
    assert sum(file.stat().st_size for file in directory.glob("*-json.log*")) < 3 * (4 << 20)
    stalled.sock.close()


def test_all_clients_hear_all(engine: Sampan) -> None:
    box = Box(engine, "cat", host=NO_NETWORK, OpenStdin=True)
    streams = [box.attach() for _ in range(10)]
    box.start()
    for number, stream in enumerate(streams):
        stream.say(b"from %d\n" % number)
        for each in streams:
            each.expect(b"from %d\n" % number)


def test_clients_that_vanish_in_mid_stream(engine: Sampan) -> None:
    box = Box(engine, *gated(FLOOD), host=NO_NETWORK, OpenStdin=True)
    streams = [box.attach() for _ in range(8)]
    box.start()
    streams[0].say(b"\n")
    for stream in streams:
        assert stream.sock.recv(1000)
        stream.sock.close()
    eventually(lambda: box.state()["Status"] == "exited", "the program waits for clients that are gone", WAIT)
    assert box.state()["ExitCode"] == 0


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("once", [False, True])
def test_the_end_of_a_client_s_input(engine: Sampan, once: bool, tty: bool) -> None:
    """With `StdinOnce` and no terminal it ends the program's input, and the rest is heard; else it ends the client's stream."""
    box = Box(engine, "sh", "-c", "cat; echo rest", host=NO_NETWORK, OpenStdin=True, StdinOnce=once, Tty=tty)
    stream = box.attach()
    box.start()
    stream.say(b"hello\n")
    stream.expect(b"hello")
    stream.sock.shutdown(socket.SHUT_WR)
    stream.expect_end()
    assert stream.seen.endswith(b"rest\n") == (once and not tty)
    if once and not tty:
        box.ended(0)
    else:
        assert box.state()["Running"]
        again = box.attach()
        again.say(b"still here\n")
        again.expect(b"still here")


def exec_stream(engine: Sampan, box: Box, script: str) -> tuple[str, Stream]:
    asked = {"Cmd": ["sh", "-c", script], "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    made = engine.api("POST", f"/containers/{box.id}/exec", asked).json()
    assert isinstance(made, dict)
    return str(made["Id"]), Stream(engine, f"/exec/{made['Id']}/start")


def test_execs_likewise(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host=NO_NETWORK).start()
    name, stalled = exec_stream(engine, box, FLOOD)
    _, half = exec_stream(engine, box, "cat; echo rest")
    half.say(b"hello\n")
    half.sock.shutdown(socket.SHUT_WR)
    half.expect_end()
    assert half.seen.endswith(b"rest\n")
    assert stalled.sock.recv(10)
    titled = [pid for pid in processes.pids() if processes.title(pid).startswith(f"sampan-exec {name[:12]}")]
    assert [pid for pid in titled if peak(pid) >= BOUND] == []
    assert box.run("echo", "alive") == "alive"
    stalled.sock.close()

    def over() -> bool:
        found = engine.api("GET", f"/exec/{name}/json").json()
        assert isinstance(found, dict)
        return found["Running"] is False

    eventually(over, "an exec waits for a client that is gone", WAIT)


def test_what_was_said_before_is_replayed(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "echo early; echo wrong >&2; cat", host=NO_NETWORK, OpenStdin=True).start()
    eventually(lambda: "wrong" in box.logs(), "not logged")
    stream = Stream(engine, f"/containers/{box.id}/attach?logs=1&stream=1&stdin=1&stdout=1&stderr=1")
    stream.expect(b"\1\0\0\0\0\0\0\6early\n")
    stream.expect(b"\2\0\0\0\0\0\0\6wrong\n")
    stream.say(b"late\n")
    stream.expect(b"\1\0\0\0\0\0\0\5late\n")
    past = Stream(engine, f"/containers/{box.id}/attach?logs=1&stdout=1")
    past.expect_end()
    assert past.seen == b"\1\0\0\0\0\0\0\6early\n\1\0\0\0\0\0\0\5late\n"


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("config", [{}, {"max-size": "100k", "max-file": "30"}], ids=["whole", "rotated"])
def test_a_replay_goes_over_into_the_stream_without_a_seam(engine: Sampan, driver: str, config: dict[str, str]) -> None:
    """Clients that come while the program writes: each gets a run of lines without a gap, and the begin of a line held back."""
    count = 'i=0; while [ $i -lt 20000 ]; do echo "number $i"; i=$((i+1)); done; printf half; read -r x; echo " rest"'
    log = {"LogConfig": {"Type": driver, "Config": config}}
    box = Box(engine, "sh", "-c", count, host={**NO_NETWORK, **log}, OpenStdin=True).start()
    readings = []
    for _ in range(12):
        path = f"/containers/{box.id}/attach?logs=1&stream=1&stdout=1&stderr=1"
        readings.append(Reading(Stream(engine, path), keep=True))
    eventually(lambda: all(one.tail.endswith(b"half") for one in readings), "not all of it came", WAIT)
    late = Reading(Stream(engine, f"/containers/{box.id}/attach?logs=1&stream=1&stdin=1&stdout=1"), keep=True)
    eventually(lambda: late.tail.endswith(b"half"), "the begun line is not shown", WAIT)
    late.sock.sendall(b"\n")
    for one in (*readings, late):
        one.end()
        lines = unframed(bytes(one.kept)).splitlines()
        assert lines[-1] == b"half rest"
        numbers = [int(line.split()[1]) for line in lines[:-1]]
        assert numbers == list(range(numbers[0], 20_000))
        assert config or numbers[0] == 0


def unframed(raw: bytes) -> bytes:
    said = bytearray()
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at + 4 : at + 8], "big")
        said += raw[at + 8 : at + 8 + size]
        at += 8 + size
    return bytes(said)


@contextmanager
def client_over_tcp() -> Iterator[tuple[Sampan, docker.DockerClient]]:
    port = free_port()
    with running_sampan("--host", f"tcp://127.0.0.1:{port}") as engine:
        engine.load_busybox()
        client = docker.DockerClient(base_url=f"tcp://127.0.0.1:{port}", timeout=60)
        try:
            yield engine, client
        finally:
            client.close()


def test_docker_py_attaches_by_websocket() -> None:
    with client_over_tcp() as (engine, client):
        box = Box(
            engine, "sh", "-c", "echo early; echo wrong >&2; cat", host=NO_NETWORK, OpenStdin=True, StdinOnce=True
        )
        box.start()
        eventually(lambda: "wrong" in box.logs(), "not logged")
        wanted = {"logs": 1, "stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        attached = client.api.attach_socket(box.id, wanted, ws=True)
        attached.settimeout(60)
        seen = b""
        while seen.count(b"\n") < 2:
            seen += attached.recv()
        assert sorted(seen.splitlines()) == [b"early", b"wrong"]
        attached.ping(b"?")
        attached.send_binary(b"typed\n")
        assert attached.recv() == b"typed\n"
        attached.send("text\n")
        assert attached.recv() == b"text\n"
        attached.close()
        attached.shutdown()
        box.ended(0)


def test_a_websocket_before_the_start_hears_the_end() -> None:
    with client_over_tcp() as (engine, client):
        box = Box(engine, "sh", "-c", "echo one; exit 3", host=NO_NETWORK)
        attached = client.api.attach_socket(box.id, {"stream": 1, "stdout": 1, "stderr": 1}, ws=True)
        attached.settimeout(60)
        box.start()
        assert attached.recv() == b"one\n"
        assert attached.recv() == ""
        attached.shutdown()
        box.ended(3)
        refused = engine.api("GET", f"/containers/{box.id}/attach/ws?stream=1")
        assert (refused.status, json.loads(refused.body)) == (400, {"message": "not websocket protocol"})


@pytest.mark.parametrize("tty", [False, True])
def test_what_an_exec_prints_does_not_come_together_with_the_head(engine: Sampan, tty: bool) -> None:
    """docker-py reads the head through a buffer and goes on with the bare socket: what came in one piece with it would be lost."""
    assert engine.docker("run", "-d", "--name", "talks", "--network", "none", "busybox", "sleep", "1000").code == 0
    made = engine.api(
        "POST", "/containers/talks/exec", {"Cmd": ["echo", "hello"], "AttachStdout": True, "Tty": tty}
    ).json()
    assert isinstance(made, dict)
    body = json.dumps({"Tty": tty}).encode()
    head = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nHost: d"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(engine.socket))
        client.sendall(
            f"POST /exec/{made['Id']}/start HTTP/1.1\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        select.select([client], [], [], 60)
        # A client that is slow to read: an exec takes less than that.
        time.sleep(0.1)
        first = client.recv(65536)
        assert first.startswith(b"HTTP/1.1 101")
        assert first.endswith(b"\r\n\r\n")
        rest = b""
        while piece := client.recv(65536):
            rest += piece
    assert rest == (b"hello\r\n" if tty else b"\1\0\0\0\0\0\0\6hello\n")
