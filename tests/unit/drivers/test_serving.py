"""A driver's answers as they go over the socket."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.drivers.asking import asked
from sampan.drivers.calls import Book, Call, Nothing
from sampan.drivers.serving import Server
from sampan.spec.document import Document, sent


class _Echo(Document, frozen=True):
    text: str = sent("")


def _fail(_: _Echo) -> Nothing:
    raise LookupError("no such thing: x")


def _silent(_: _Echo) -> Nothing:
    raise ValueError


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    calls = {
        "Kind.Echo": Call(_Echo, lambda asked: asked),
        "Kind.Fail": Call(_Echo, _fail),
        "Kind.Silent": Call(_Echo, _silent),
        "Kind.Stream": Call(_Echo, lambda asked: iter([b"a" * 10, b"", asked.text.encode()])),
    }
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(tmp_path / "socket"))
    listening.listen(8)
    with Server(listening, Book({"Kind": calls})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield str(tmp_path / "socket")
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("method", "body", "status", "answer"),
    [
        ("Plugin.Activate", b"", 200, {"Implements": ["Kind"]}),
        ("Kind.Echo", b'{"Text": "words"}', 200, {"Text": "words"}),
        ("Kind.Echo", b'{"text": "in any case", "More": [1]}', 200, {"Text": "in any case"}),
        ("Kind.Echo", b"", 200, {"Text": ""}),
        ("Kind.Echo", b"null", 200, {"Text": ""}),
        ("Kind.Echo", b'{"Text": 1}', 400, None),
        ("Kind.Echo", b"{", 400, None),
        ("Kind.Fail", b"{}", 500, {"Err": "no such thing: x"}),
        ("Kind.Silent", b"{}", 500, {"Err": "ValueError"}),
        ("Kind.Other", b"{}", 404, {"Err": "'Kind.Other' is no method of this driver"}),
    ],
)
def test_answers(address: str, method: str, body: bytes, status: int, answer: object) -> None:
    found, text = asked(address, method, body, 10)
    assert found == status, text
    told = json.loads(text)
    assert told == answer if answer is not None else told["Err"]


def test_a_stream(address: str) -> None:
    assert asked(address, "Kind.Stream", b'{"Text": "end"}', 10) == (200, b"a" * 10 + b"end")


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 99999999999999999999",
        b"Content-Length: -1",
        b"Content-Length: 1e3",
        b"Transfer-Encoding: chunked",
    ],
)
def test_a_length_that_is_none_ends_the_connection(address: str, header: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)
        client.sendall(b"POST /Kind.Echo HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("length", ["0000000000009999999999", "9" * 5000, "-1", "+1", "67108865", "1_0"])
def test_a_length_that_is_none_or_too_large(address: str, length: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(address)
        sock.sendall(f"POST /Kind.Echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")


def test_an_answer_of_any_length_takes_no_more_room_than_it_may(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen(1)

        def answer() -> None:
            caller, _ = listening.accept()
            with caller:
                got = b""
                while not got.endswith(b"{}"):
                    got += caller.recv(1 << 16)
                caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000000\r\n\r\nshort")

        thread = threading.Thread(target=answer)
        thread.start()
        # An interpreter that believed the number would ask for 900 TB.
        assert asked(str(tmp_path / "socket"), "Kind.Echo", b"{}", 10) == (200, b"short")
        thread.join()
