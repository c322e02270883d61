import os
import socket

import pytest

from sampan.runtime.attached import LIMIT, Client, Detached, Input


def client(**changes: object) -> tuple[Client, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(2)
    settings: dict[str, object] = {
        "wants": frozenset({1, 2}),
        "stdin": True,
        "framed": True,
        "pending": b"",
        "keys": b"\x10\x11",
        **changes,
    }
    return Client(ours, **settings), theirs  # type: ignore[arg-type]


def test_output_is_framed_with_docker_s_header() -> None:
    one, other = client()
    assert one.output(2, b"oh\n")
    assert other.recv(100) == b"\x02\x00\x00\x00\x00\x00\x00\x03oh\n"
    one.close()
    other.close()


def test_a_terminal_s_output_is_raw_and_unwanted_streams_are_left_out() -> None:
    one, other = client(framed=False, wants=frozenset({1}))
    assert one.output(2, b"not this")
    assert one.output(1, b"this")
    assert other.recv(100) == b"this"
    one.close()
    other.close()


def test_a_client_that_does_not_read_is_full_and_loses_nothing() -> None:
    one, other = client(framed=False)
    sent = b""
    number = 0
    while not one.full:
        block = b"%08d" % number * 4096
        number += 1
        assert one.output(1, block)
        sent += block
    assert len(one.unsent) <= LIMIT + 8 * 4096
    got = b""
    while len(got) < len(sent):
        got += other.recv(1 << 20)
        assert one.flush()
    assert got == sent
    one.close()
    other.close()


def test_what_a_client_misses_it_is_told() -> None:
    one, other = client()
    one.leave_out(1, b"x" * 70)
    one.leave_out(2, b"y" * 7)
    assert one.output(1, b"after")
    text = b"\r\nsampan: 77 bytes of output were left out: this client reads too slowly\r\n"
    expected = bytes((2, 0, 0, 0, 0, 0, 0, len(text))) + text + b"\1\0\0\0\0\0\0\5after"
    assert other.recv(1000) == expected
    one.close()
    other.close()


def test_a_client_that_is_gone_is_noticed() -> None:
    one, other = client()
    other.close()
    assert not one.output(1, b"x")
    one.close()


@pytest.mark.parametrize(
    ("pieces", "passed"),
    [
        ([b"abc"], b"abc"),
        ([b"a\x10b"], b"a\x10b"),
        ([b"\x10", b"x"], b"\x10x"),
        ([b"\x10\x10"], b"\x10"),
    ],
)
def test_a_begun_run_of_detach_keys_that_is_something_else_passes(pieces: list[bytes], passed: bytes) -> None:
    one, other = client()
    assert b"".join(one.without_keys(piece) for piece in pieces) == passed
    one.close()
    other.close()


@pytest.mark.parametrize("pieces", [[b"ab\x10\x11"], [b"ab\x10", b"\x11cd"], [b"a", b"b\x10\x10\x11"]])
def test_the_detach_keys_detach_also_byte_by_byte(pieces: list[bytes]) -> None:
    one, other = client()
    passed = b""
    with pytest.raises(Detached) as detached:
        for piece in pieces:
            passed += one.without_keys(piece)
    assert (passed + detached.value.rest).rstrip(b"\x10") == b"ab"
    one.close()
    other.close()


def test_input_ends_when_it_is_drained() -> None:
    reading, writing = os.pipe()
    program = Input(writing, is_terminal=False)
    data = b"x" * 200_000
    program.give(data)
    program.end()
    assert program.full
    got = b""
    while piece := os.read(reading, 65536):
        got += piece
        program.flush()
    assert got == data
    assert program.descriptor == -1
    os.close(reading)


def test_input_of_a_program_that_closed_its_own_is_dropped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = Input(writing, is_terminal=False)
    program.give(b"x")
    assert program.descriptor == -1
    program.give(b"y")
    assert not program.unsent


def test_without_detach_keys_everything_passes() -> None:
    one, other = client(keys=b"")
    assert one.without_keys(b"a\x10\x11") == b"a\x10\x11"
    one.close()
    other.close()
