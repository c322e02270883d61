import json
import os
import socket
import struct

import pytest

from sampan.kernel.files import sealed_file
from sampan.runtime.messages import (
    BODY_LIMIT,
    INLINE_LIMIT,
    Kind,
    Message,
    ProtocolError,
    pair,
    receive,
    receive_whole,
    send,
    send_encoded,
)


def through(body: dict[str, object], descriptors: list[int] | None = None) -> Message:
    left, right = pair()
    with left, right:
        send(left, Kind.START, body, descriptors, request=7)
        message = receive(right)
    assert message is not None
    return message


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT - 20, INLINE_LIMIT, 300_000])
def test_a_body_arrives_as_it_was_sent_whatever_its_size(size: int) -> None:
    message = through({"text": "x" * size})
    assert (message.kind, message.request, message.body) == (Kind.START, 7, {"text": "x" * size})
    assert message.descriptors == []


def test_descriptors_arrive_close_on_exec_and_beside_a_large_body() -> None:
    reading, writing = os.pipe()
    message = through({"text": "x" * 300_000}, [writing])
    os.close(writing)
    (copy,) = message.descriptors
    assert not os.get_inheritable(copy)
    os.write(copy, b"hello")
    message.close()
    assert os.read(reading, 10) == b"hello"
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_the_end_of_the_other_side_is_none() -> None:
    left, right = pair()
    left.close()
    assert receive(right) is None
    right.close()


def whole(message: Message | None) -> Message:
    assert message is not None
    return message


def header(magic: int = 0x53504E31, kind: int = 3, flags: int = 0, length: int = 2) -> bytes:
    return struct.pack("=IHHII", magic, kind, flags, 1, length)


@pytest.mark.parametrize(
    "packet",
    [
        b"x",
        header(magic=1) + b"{}",
        header(kind=999) + b"{}",
        header(length=3) + b"{}",
        header(length=BODY_LIMIT + 1) + b"{}",
        header() + b"[]",
        header() + b"{x",
        header(flags=1),
    ],
)
def test_malformed_packets_are_refused(packet: bytes) -> None:
    left, right = pair()
    with left, right:
        left.send(packet)
        with pytest.raises(ProtocolError):
            _ = whole(receive(right)).body


def test_a_body_in_a_file_that_can_still_change_is_refused() -> None:
    body = json.dumps({"a": 1}).encode()
    open_file = os.memfd_create("x", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(open_file, body)
    sealed = sealed_file("x", body)
    left, right = pair()
    with left, right:
        for descriptor, length in ((open_file, len(body)), (sealed, len(body) + 1)):
            socket.send_fds(left, [header(flags=1, length=length)], [descriptor])
            with pytest.raises(ProtocolError):
                receive(right)
        socket.send_fds(left, [header(flags=1, length=len(body))], [sealed])
        message = receive(right)
    assert message is not None
    assert message.body == {"a": 1}
    os.close(open_file)
    os.close(sealed)


def test_too_large_a_body_is_refused_before_it_is_sent() -> None:
    left, right = pair()
    with left, right, pytest.raises(ProtocolError):
        send(left, Kind.START, {"text": "x" * BODY_LIMIT})


def test_a_body_that_is_none_leaves_no_descriptor() -> None:
    left, right = pair()
    with left, right, open(os.devnull, "rb") as null:
        before = len(os.listdir("/proc/self/fd"))
        for body in (b"[" * 30_000, b"[]", b"{", b'"\xff"'):
            send_encoded(left, Kind.START, body, [null.fileno()])
            with pytest.raises(ProtocolError):
                receive_whole(right)
        assert len(os.listdir("/proc/self/fd")) == before
