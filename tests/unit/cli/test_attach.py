"""Detach keys and the pump, on pipes and socket pairs."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from sampan.cli.attach.pump import Pump
from sampan.client.wire import Wire
from sampan.spec.detach_keys import Detector


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


class Ends:
    """The pump's descriptors: a pipe for stdin, pipes for both outputs, a socket pair to the daemon."""

    def __init__(self) -> None:
        ours, self.daemon = socket.socketpair()
        self.wire = Wire(ours, tls=False)
        self.stdin, self.typed = os.pipe()
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        self.outputs = (out, err)

    def pump(self, tty: bool = False, stdin: bool = True) -> Pump:
        return Pump(self.wire, tty, self.stdin if stdin else -1, self.outputs)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.wire.close()
    made.daemon.close()
    for descriptor in (made.stdin, made.out, made.err, *made.outputs):
        os.close(descriptor)


def test_frames_go_to_their_streams(ends: Ends) -> None:
    ends.daemon.sendall(frame(1, b"out") + frame(2, b"err"))
    ends.daemon.close()
    assert ends.pump(stdin=False).run() is True
    assert (os.read(ends.out, 100), os.read(ends.err, 100)) == (b"out", b"err")


def test_bytes_that_came_with_the_head_are_not_lost(ends: Ends) -> None:
    ends.wire.buffer = frame(1, b"early")
    ends.daemon.close()
    assert ends.pump(stdin=False).run() is True
    assert os.read(ends.out, 100) == b"early"


def test_end_of_input_is_a_half_close(ends: Ends) -> None:
    os.write(ends.typed, b"typed")
    os.close(ends.typed)

    def daemon() -> None:
        received = b""
        while data := ends.daemon.recv(100):
            received += data
        ends.daemon.sendall(frame(1, b"got " + received))  # it can still answer
        ends.daemon.close()

    thread = threading.Thread(target=daemon)
    thread.start()
    assert ends.pump().run() is True
    thread.join()
    assert os.read(ends.out, 100) == b"got typed"


def test_input_that_nobody_takes_does_not_stop_output(ends: Ends) -> None:
    size = 4_000_000

    def person() -> None:
        data = memoryview(b"i" * size)
        while data:
            data = data[os.write(ends.typed, data[:65536]) :]
        os.close(ends.typed)

    def daemon() -> None:
        for _ in range(50):
            ends.daemon.sendall(frame(1, b"o" * 60000))  # all of it before a byte of input is read
        total = 0
        while data := ends.daemon.recv(65536):
            total += len(data)
        ends.daemon.sendall(frame(2, str(total).encode()))
        ends.daemon.close()

    read: list[int] = []

    def reader() -> None:
        total = 0
        while total < 50 * 60000:
            total += len(os.read(ends.out, 65536))
        read.append(total)

    threads = [threading.Thread(target=work) for work in (person, daemon, reader)]
    for thread in threads:
        thread.start()
    assert ends.pump().run() is True
    for thread in threads:
        thread.join()
    assert read == [50 * 60000]
    assert os.read(ends.err, 100) == str(size).encode()


def test_detach_keys_end_the_pump_and_what_was_typed_before_is_sent(ends: Ends) -> None:
    pump = ends.pump(tty=True)
    pump.detector = Detector(b"\x10\x11")
    os.write(ends.typed, b"ls\r\x10\x11")
    assert pump.run() is False
    os.close(ends.typed)
    assert ends.daemon.recv(100) == b"ls\r"
