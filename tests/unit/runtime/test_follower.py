"""A follower serves one client of one log, here in a thread: through rotations, to slow clients, to the container's end."""

import array
import fcntl
import json
import os
import select
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.logs.files import close_all
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.reader import open_at
from sampan.logs.reading import Query
from sampan.runtime import record
from sampan.runtime.follower import Follower

SECONDS = 20.0


class Scene:
    """A log, a process for the program and one for its monitor, and the client's end of the connection."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "x-json.log"
        self.directory = directory
        self.program = subprocess.Popen(["sleep", "1000"])
        self.monitor = subprocess.Popen(["sleep", "1000"])
        self.record({})
        self.client, self.theirs = socket.socketpair()
        self.client.settimeout(SECONDS)
        self.thread = threading.Thread()
        self.seen = b""

    def record(self, more: dict[str, object]) -> None:
        """The record of the run as its monitor writes it."""
        body = {"version": 1, "init": [self.program.pid, 7], **more}
        (self.directory / record.NAME).write_text(json.dumps(body))

    def writer(self, max_size: int = -1, max_files: int = 1) -> JsonFileWriter:
        return JsonFileWriter(str(self.log), max_size, max_files)

    def follow(self, query: Query | None = None, tty: bool = True, chunked: bool = False, **more: bool) -> None:
        """Begin to serve the client."""
        query = query or Query()
        body = {
            "id": "x",
            "directory": str(self.directory),
            "init": [self.program.pid, 7],
            "path": str(self.log),
            "query": {name: getattr(query, name) for name in ("stdout", "stderr", "since", "until")},
            "tty": tty,
            "chunked": chunked,
            "timestamps": False,
            "details": False,
            **more,
        }
        opened = open_at(str(self.log), query)
        files = [os.dup(file.fileno()) for file in opened]
        close_all(opened)
        pidfds = [os.pidfd_open(one.pid) for one in (self.program, self.monitor)]
        follower = Follower(body, [self.theirs.detach(), *pidfds, *files])
        self.thread = threading.Thread(target=follower.run)
        self.thread.start()

    def read(self, wanted: bytes) -> None:
        """Read until `wanted` has come."""
        while wanted not in self.seen:
            piece = self.client.recv(65536)
            assert piece, f"the stream ended without {wanted!r}: {self.seen[-200:]!r}"
            self.seen += piece

    def read_to_end(self) -> bytes:
        while piece := self.client.recv(65536):
            self.seen += piece
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return self.seen

    def exit(self) -> None:
        """The program ends, and its monitor writes it down."""
        self.program.kill()
        self.record({"exit": {}})

    def close(self) -> None:
        self.client.close()
        for one in (self.program, self.monitor):
            one.kill()
            one.wait()
        if self.thread.ident is not None:
            self.thread.join(SECONDS)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()
    assert not made.thread.is_alive()


def numbers(seen: bytes) -> list[int]:
    return [int(line) for line in seen.split()]


@pytest.mark.parametrize("bound", [(-1, 1), (4000, 3), (4000, 1)])
def test_every_line_once_until_the_end(scene: Scene, bound: tuple[int, int]) -> None:
    writer = scene.writer(*bound)
    writer.feed(1, b"0\n1\n2\n")
    scene.follow(Query(tail=2))
    for number in range(3, 400):
        writer.feed(1, b"%d\n" % number)
        if number % 20 == 0:
            scene.read(b"\n%d\n" % number)
    writer.feed(1, b"400")
    writer.close()
    scene.exit()
    assert numbers(scene.read_to_end()) == list(range(1, 401))


def test_without_inotify_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise OSError(24, "too many")

    monkeypatch.setattr("sampan.runtime.follower.inotify_init1", refused)
    writer = scene.writer(4000, 3)
    scene.follow()
    for number in range(200):
        writer.feed(1, b"%d\n" % number)
        if number % 20 == 0:
            scene.read(b"%d\n" % number)
    writer.close()
    scene.exit()
    assert numbers(scene.read_to_end()) == list(range(200))


def fill(scene: Scene, writer: JsonFileWriter) -> int:
    """Ten thousand lines for a client that does not read: more than its socket takes. Returns the number after the last."""
    writer.feed(1, b"".join(b"%0100d\n" % n for n in range(10_000)))
    before = -1
    while (now := pending(scene.client)) == 0 or now != before:
        before = now
        time.sleep(0.01)
    return 10_000


def pending(sock: socket.socket) -> int:
    """Bytes that wait to be read."""
    room = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, room)
    return room[0]


def test_a_slow_client_loses_nothing_that_the_log_still_has(scene: Scene) -> None:
    writer = scene.writer()
    scene.follow()
    last = fill(scene, writer)
    rotated = scene.log.with_name(scene.log.name + ".1")
    scene.log.rename(rotated)
    writer.close()
    writer = scene.writer(200_000, 3)
    writer.feed(1, b"".join(b"%0100d\n" % n for n in range(last, last + 1500)))
    writer.close()
    scene.exit()
    assert numbers(scene.read_to_end()) == list(range(last + 1500))


def test_a_client_that_is_too_slow_gets_whole_lines_in_order(scene: Scene) -> None:
    writer = scene.writer()
    scene.follow()
    last = fill(scene, writer)
    writer.close()
    writer = scene.writer(400_000, 3)
    for _ in range(10):
        writer.feed(1, b"".join(b"%0100d\n" % n for n in range(last, last + 2000)))
        last += 2000
    writer.close()
    scene.exit()
    lines = scene.read_to_end().splitlines()
    assert {len(line) for line in lines} == {100}
    got = [int(line) for line in lines]
    assert got == sorted(set(got))
    assert got[-1] == last - 1
    assert got[0] == 0


def test_chunks_and_frames(scene: Scene) -> None:
    writer = scene.writer()
    writer.feed(1, b"out\n")
    writer.feed(2, b"err\n")
    scene.follow(tty=False, chunked=True)
    scene.read(b"err\n\r\n")
    writer.feed(2, b"more\n")
    writer.close()
    scene.exit()
    first = b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"
    second = b"\2\0\0\0\0\0\0\5more\n"
    assert scene.read_to_end() == b"18\r\n%b\r\nd\r\n%b\r\n0\r\n\r\n" % (first, second)


def test_until_ends_it(scene: Scene) -> None:
    writer = scene.writer()
    writer.feed(1, b"early\n")
    deadline = time.time_ns() + 50_000_000
    scene.follow(Query(until=deadline))
    scene.read(b"early\n")
    while time.time_ns() <= deadline:
        time.sleep(0.01)
    writer.feed(1, b"late\n")
    assert scene.read_to_end() == b"early\n"


def test_timestamps_and_details(scene: Scene) -> None:
    scene.log.write_bytes(b'{"log":"a\\n","stream":"stdout","attrs":{"k":"v"},"time":"2026-11-24T12:00:00.1Z"}\n')
    scene.follow(timestamps=True, details=True)
    scene.exit()
    assert scene.read_to_end() == b"2026-11-24T12:00:00.100000000Z k=v a\n"


@pytest.mark.parametrize("how", ["record", "next run", "no record", "monitor"])
def test_what_ends_a_run(scene: Scene, how: str) -> None:
    scene.writer().feed(1, b"one\n")
    scene.follow()
    scene.read(b"one\n")
    if how != "monitor":
        scene.program.kill()
        assert not select.select([scene.client], [], [], 0.1)[0], "the end is in the record, not in the program's death"
    if how == "record":
        scene.record({"exit": {}})
    elif how == "next run":
        scene.record({"init": [scene.program.pid, 8]})
    elif how == "no record":
        (scene.directory / record.NAME).unlink()
    else:
        scene.monitor.kill()
    assert scene.read_to_end() == b"one\n"


def test_a_removed_log_ends_with_what_was_read_and_what_is_held(scene: Scene) -> None:
    writer = scene.writer()
    writer.feed(1, b"one\n")
    scene.follow()
    scene.read(b"one\n")
    writer.feed(1, b"two\n")
    scene.log.unlink()
    scene.exit()
    assert scene.read_to_end() == b"one\ntwo\n"


@pytest.mark.parametrize("stalled", [False, True])
def test_it_ends_with_its_client(scene: Scene, stalled: bool) -> None:
    writer = scene.writer()
    writer.feed(1, b"one\n")
    scene.follow()
    if stalled:
        fill(scene, writer)
    else:
        scene.read(b"one\n")
        scene.client.sendall(b"GET / HTTP/1.1\r\n" * 1000)  # not heard: the answer is the connection's last
    scene.client.close()
    scene.thread.join(SECONDS)
    assert not scene.thread.is_alive()
