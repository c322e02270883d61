"""Answers as they come from a socket: heads, lengths, chunks, and what must not be believed."""

import socket
from collections.abc import Iterator

import pytest

from sampan.client.failures import BrokenConversation
from sampan.client.http import MAX_HEAD, chunk, read_response, request_head
from sampan.client.wire import Wire


@pytest.fixture
def pair() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    yield Wire(ours, tls=False), theirs
    ours.close()
    theirs.close()


def answer(pair: tuple[Wire, socket.socket], data: bytes) -> Wire:
    wire, peer = pair
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    return wire


@pytest.mark.parametrize(
    ("data", "status", "body", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end", False),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            200,
            b"abcde",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201, b"x", True),
        (b"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx", 500, b"x", True),
    ],
)
def test_bodies(pair: tuple[Wire, socket.socket], data: bytes, status: int, body: bytes, reusable: bool) -> None:
    response = read_response(answer(pair, data))
    assert (response.status, response.read()) == (status, body)
    assert response.reusable is reusable


def test_head_has_no_body(pair: tuple[Wire, socket.socket]) -> None:
    response = read_response(answer(pair, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), to_head=True)
    assert response.read() == b""


def test_bytes_behind_an_upgrade_stay_in_the_wire(pair: tuple[Wire, socket.socket]) -> None:
    wire = answer(pair, b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nstream")
    assert read_response(wire).status == 101
    assert wire.receive() == b"stream"


def test_bytes_of_the_next_answer_stay_in_the_wire(pair: tuple[Wire, socket.socket]) -> None:
    wire = answer(pair, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
    assert [read_response(wire).read(), read_response(wire).read()] == [b"a", b"b"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n" + b"x" * 10,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 9000,
    ],
)
def test_what_is_no_answer_is_refused(pair: tuple[Wire, socket.socket], data: bytes) -> None:
    wire, peer = pair
    peer.settimeout(5)
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenConversation):
        read_response(wire).read()


def test_a_body_over_the_limit_is_refused(pair: tuple[Wire, socket.socket]) -> None:
    wire = answer(pair, b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world")
    with pytest.raises(BrokenConversation, match="larger than 10 bytes"):
        read_response(wire).read(limit=10)


def test_request_head() -> None:
    head = request_head("GET", "/v1.51/x?a=b", "host", [("X", "y")])
    assert head == b"GET /v1.51/x?a=b HTTP/1.1\r\nHost: host\r\nX: y\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "a\0b"])
def test_a_field_cannot_smuggle_another(value: str) -> None:
    with pytest.raises(BrokenConversation):
        request_head("GET", "/", "host", [("X-Registry-Auth", value)])


def test_chunks() -> None:
    assert chunk(b"x" * 17) + chunk(b"") == b"11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"
