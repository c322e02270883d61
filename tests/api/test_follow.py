"""`docker logs --follow` is one stream, whatever becomes of the daemon: no line lost, none twice, memory bounded."""

import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import processes
from tests.api.scenes import Box, lives
from tests.daemons import Sampan, running_sampan, scrubbed_environment
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

NO_NETWORK = {"NetworkMode": "none"}
LINES = 30_000
COUNT = f'i=0; while [ $i -lt {LINES} ]; do echo "number $i"; i=$((i+1)); done; read -r x; echo "number {LINES}"'
WAIT = 120.0


class Reader:
    """The machine's `docker logs -f`, read in a thread as fast as it comes."""

    def __init__(self, engine: Sampan, box: Box, *flags: str) -> None:
        environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
        self.process = subprocess.Popen(
            ["docker", "logs", "-f", *flags, box.id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        self.lines: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, b""))

    def has(self, count: int) -> None:
        """Wait for that many lines."""
        eventually(lambda: len(self.lines) >= count, f"fewer than {count} lines came", WAIT)

    def end(self) -> list[bytes]:
        """All lines, after the command has ended by itself with 0."""
        assert self.process.wait(WAIT) == 0
        self._thread.join()
        return self.lines

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def following(engine: Sampan, box: Box, *flags: str) -> Iterator[Reader]:
    reader = Reader(engine, box, *flags)
    try:
        yield reader
    finally:
        reader.close()


def followers(box: Box) -> list[int]:
    title = f"sampan-follower {box.id[:12]}"
    return [pid for pid in processes.pids() if processes.title(pid).startswith(title)]


def numbered(count: int) -> list[bytes]:
    return [b"number %d\n" % number for number in range(count)]


def again(engine: Sampan, how: str) -> None:
    if how == "kill -9":
        engine.kill()
    else:
        engine.stop()
    engine.start()


@pytest.fixture(autouse=True)
def _containers_removed(engine: Sampan) -> Iterator[None]:
    yield
    if engine.process is None or engine.process.poll() is not None:
        engine.start()
    engine.remove_containers()


@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
@pytest.mark.parametrize("tty", [False, True])
def test_one_stream_across_two_restarts(engine: Sampan, how: str, tty: bool) -> None:
    box = Box(engine, "sh", "-c", COUNT, host=NO_NETWORK, OpenStdin=True, Tty=tty)
    stream = box.attach()
    box.start()
    with following(engine, box) as reader:
        reader.has(1)
        drained = threading.Thread(target=drain, args=(stream.sock,))
        drained.start()
        for _ in range(2):
            again(engine, how)
        reader.has(LINES)
        stream.say(b"\n")
        lines = reader.end()
        drained.join()
    lines = [line.replace(b"\r", b"") for line in lines if line.strip()]
    assert lines == numbered(LINES + 1)
    eventually(lambda: not followers(box), "the follower stays")


def drain(sock: socket.socket) -> None:
    """Read to the end: an attached client that does not read would hold the program up."""
    with suppress(OSError):
        while sock.recv(1 << 16):
            pass


def test_rotation_across_restarts(engine: Sampan) -> None:
    """Bursts of half of what the log keeps, each awaited, so that every line can be had; 40 rotations."""
    config = {"Type": "json-file", "Config": {"max-size": "20k", "max-file": "3"}}
    box = Box(engine, "cat", host={**NO_NETWORK, "LogConfig": config}, OpenStdin=True)
    stream = box.attach()
    box.start()
    written = 0
    with following(engine, box) as reader:
        for turn in range(24):
            burst = numbered(written + 400)[written:]
            stream.say(b"".join(burst))
            stream.expect(burst[-1])
            stream.seen = b""
            written += 400
            reader.has(written)
            if turn in (8, 16):
                again(engine, "kill -9")
        stream.sock.close()
        assert engine.api("POST", f"/containers/{box.id}/kill").status == 204
        assert reader.end() == numbered(written)
    assert Path(str(box.inspect()["LogPath"]) + ".2").exists(), "nothing was rotated"


@contextmanager
def stalled(engine: Sampan, box: Box, version: str = "1.1") -> Iterator[socket.socket]:
    """A client that has asked to follow and does not read."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WAIT)
        sock.connect(str(engine.socket))
        path = f"/containers/{box.id}/logs?stdout=1&follow=1"
        sock.sendall(f"GET {path} HTTP/{version}\r\nHost: d\r\n\r\n".encode())
        yield sock


def read_to_end(sock: socket.socket) -> bytes:
    seen = bytearray()
    while piece := sock.recv(1 << 16):
        seen += piece
    return bytes(seen)


def memory(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_client_that_never_reads_costs_little_and_holds_nobody_up(engine: Sampan) -> None:
    size = 40 << 20
    box = Box(engine, "sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x; echo; echo end", host=NO_NETWORK)
    with stalled(engine, box.start()) as sock:
        eventually(lambda: followers(box), "no follower")
        (pid,) = followers(box)
        box.ended(0)
        with following(engine, box) as reader:
            assert reader.end()[-1] == b"end\n"
        assert memory(pid) < 40 << 20
        again(engine, "kill -9")
        assert lives(pid)
        body = read_to_end(sock)
    assert body.count(b"x") >= size
    assert body.endswith(b"end\n\r\n0\r\n\r\n")
    eventually(lambda: not lives(pid), "the follower stays")


def test_http_1_0_ends_with_the_connection(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "echo one; read -r x; echo two", host=NO_NETWORK, OpenStdin=True, Tty=True)
    stream = box.attach()
    box.start()
    with stalled(engine, box, "1.0") as sock:
        eventually(lambda: followers(box), "no follower")
        again(engine, "kill -9")
        stream.say(b"\n")
        head, _, body = read_to_end(sock).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert body.replace(b"\r\n\r\n", b"\r\n") == b"one\r\ntwo\r\n"


def test_it_ends_with_its_client_and_with_a_removal(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host=NO_NETWORK).start()
    with stalled(engine, box):
        eventually(lambda: followers(box), "no follower")
    eventually(lambda: not followers(box), "the follower outlives its client")
    with following(engine, box) as reader:
        eventually(lambda: followers(box), "no follower")
        box.remove()
        assert reader.end() == []


@pytest.mark.parametrize("state", ["created", "exited", "restarting"])
def test_nothing_is_followed_where_nothing_runs(engine: Sampan, state: str) -> None:
    policy = {"RestartPolicy": {"Name": "always"}} if state == "restarting" else {}
    box = Box(engine, "sh", "-c", "echo one; exit 3", host={**NO_NETWORK, **policy})
    if state != "created":
        box.start()
        # The pauses between runs double: soon one is long enough.
        eventually(lambda: box.state()["Status"] == state and box.state()["ExitCode"] == 3, "not there", WAIT)
    if state == "restarting":
        eventually(lambda: box.inspect()["RestartCount"] > 4 and box.state()["Status"] == state, "no long pause", WAIT)
    with following(engine, box) as reader:
        lines = reader.end()
    assert set(lines) <= {b"one\n"}
    assert bool(lines) == (state != "created")


def test_a_launcher_without_a_daemon_does_not_stay_for_a_follower() -> None:
    with running_sampan() as engine:
        engine.load_busybox()
        script = "head -c 4000000 /dev/zero | tr '\\0' x; read -r x"
        box = Box(engine, "sh", "-c", script, host=NO_NETWORK, OpenStdin=True)
        stream = box.attach()
        box.start()
        reading = threading.Thread(target=drain, args=(stream.sock,))
        reading.start()
        with stalled(engine, box) as sock:
            assert select.select([sock], [], [], WAIT)[0]
            eventually(lambda: followers(box), "no follower")
            engine.kill()
            stream.say(b"\n")
            reading.join()
            gone = "the launcher stays without a monitor"
            eventually(lambda: not processes.launchers(str(engine.directory)), gone)
            assert followers(box)
            assert read_to_end(sock).endswith(b"0\r\n\r\n")
        engine.start()
        stream.sock.close()
