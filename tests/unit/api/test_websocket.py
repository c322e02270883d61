"""WebSocket: the handshake, frames however they are cut, what is refused, and attached programs behind it."""

import base64
import os
import random
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.api.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    BadHandshake,
    Inbound,
    closing,
    frame,
    handshake,
)
from sampan.spec.requests import AttachOptions
from tests.api.certificates import make_certificate, server_context
from tests.api.serving import Served, serving
from tests.unit.api.test_hijack import ask, container

ASKED = {
    b"upgrade": b"websocket",
    b"connection": b"keep-alive, Upgrade",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_handshake_of_the_standard() -> None:
    # RFC 6455 section 1.3.
    assert handshake(ASKED, BINARY).accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert handshake({**ASKED, b"sec-websocket-protocol": b"chat"}, TEXT).protocol == "chat"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"upgrade", b"tcp"),
        (b"connection", b"keep-alive"),
        (b"sec-websocket-version", b"8"),
        (b"sec-websocket-key", b""),
        (b"sec-websocket-key", b"c2hvcnQ="),
        (b"sec-websocket-key", b"not base64, is it?"),
        (b"sec-websocket-protocol", b"chat, superchat"),
    ],
)
def test_other_handshakes_are_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(BadHandshake):
        handshake({**ASKED, name: value}, BINARY)


def masked(opcode: int, payload: bytes, *, last: bool = True, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    head = bytes([opcode | 0x80 * last])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_sizes(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    assert Inbound().feed(masked(BINARY, payload)) == payload
    sent = frame(BINARY, payload)
    assert sent.endswith(payload)
    assert len(sent) - size == (2 if size < 126 else 4 if size < 65536 else 10)


STREAM = b"".join(
    (
        masked(TEXT, b"hell", last=False),
        masked(PING, b"are you there"),
        masked(CONTINUATION, b"o ", last=False, mask=b"abcd"),
        masked(PONG, b"unasked"),
        masked(CONTINUATION, b""),
        masked(BINARY, b"w" * 300),
        masked(CLOSE, struct.pack(">H", 1001) + b"going"),
        masked(BINARY, b"not heard"),
    )
)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, len(STREAM)])
def test_a_stream_of_frames_however_it_is_cut(step: int) -> None:
    inbound = Inbound()
    said = b"".join(inbound.feed(STREAM[at : at + step]) for at in range(0, len(STREAM), step))
    assert said == b"hello " + b"w" * 300
    assert inbound.closed
    assert bytes(inbound.replies) == frame(PONG, b"are you there") + closing(1001)


@pytest.mark.parametrize(
    "raw",
    [
        frame(BINARY, b"not masked"),
        b"\xc2\x81" + bytes(5),
        masked(0x3, b"unknown"),
        masked(0xB, b"unknown"),
        masked(CONTINUATION, b"of nothing"),
        masked(TEXT, b"a", last=False) + masked(TEXT, b"b"),
        masked(PING, b"in parts", last=False),
        masked(PING, b"x" * 126),
        masked(CLOSE, b"x"),
        b"\x82\xfe\x00\x05" + bytes(9),
        b"\x82\xff" + struct.pack(">Q", 65535) + bytes(9),
        b"\x82\xff" + struct.pack(">Q", 1 << 63) + bytes(9),
    ],
)
def test_what_breaks_the_protocol_ends_it(raw: bytes) -> None:
    inbound = Inbound()
    inbound.feed(raw)
    assert inbound.closed
    assert bytes(inbound.replies).endswith(closing(1002))


def test_nothing_is_kept_of_a_large_frame() -> None:
    inbound = Inbound()
    whole = masked(BINARY, bytes(1 << 20))
    inbound.feed(whole[: 1 << 19])
    assert len(inbound._buffer) == 0


# Served.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory)
    return directory


@pytest.fixture(scope="module", params=["plain", "TLS"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Served]:
    tls = server_context(certificates) if request.param == "TLS" else None
    with serving(tmp_path_factory.mktemp("ws"), tls) as started:
        yield started


class Socket:
    """A client over TCP, where the server has TLS over that."""

    def __init__(self, served: Served, certificates: Path, path: str, *headers: str, behind: bytes = b"") -> None:
        sock = socket.create_connection(("127.0.0.1", served.port), 10)
        if served.secure:
            context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
            context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
            sock = context.wrap_socket(sock, server_hostname="localhost")
        self.sock = sock
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {key}", *headers]
        self.sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode() + behind)
        self.file = self.sock.makefile("rb")
        self.status = self.file.readline()
        self.head = b""
        while (line := self.file.readline()) not in (b"\r\n", b""):
            self.head += line

    def read(self) -> tuple[int, bytes]:
        """The next frame; (-1, b"") at the end."""
        head = self.file.read(2)
        if not head:
            return -1, b""
        assert not head[1] & 0x80, "a server does not mask"
        size = head[1]
        if size > 125:
            size = int.from_bytes(self.file.read(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, self.file.read(size)

    def close(self) -> None:
        self.file.close()
        self.sock.close()


ATTACH = "/containers/%s/attach/ws?stream=1&stdin=1&stdout=1&stderr=1"


@pytest.mark.parametrize("together", [True, False])
def test_a_program_behind_a_websocket(served: Served, certificates: Path, together: bool) -> None:
    first = masked(TEXT, b"hello")
    client = Socket(served, certificates, ATTACH % container(served), behind=first if together else b"")
    assert client.status == b"HTTP/1.1 101 Switching Protocols\r\n"
    if not together:
        client.sock.sendall(first)
    assert client.read() == (BINARY, b"HELLO")
    client.sock.sendall(masked(PING, b"?"))
    assert client.read() == (PONG, b"?")
    client.sock.sendall(masked(CLOSE, struct.pack(">H", 1000)))
    assert client.read() == (CLOSE, struct.pack(">H", 1000))
    assert client.read() == (-1, b"")
    client.close()


@pytest.mark.parametrize(
    ("version", "flags", "opcode", "wanted"),
    [
        ("1.27", "stream=1", TEXT, (True, True, True)),
        ("1.28", "stream=1&stdout=0", BINARY, (True, True, True)),
        ("1.42", "stream=1&stdin=1&stdout=1", BINARY, (True, True, False)),
    ],
)
def test_versions(
    served: Served, certificates: Path, version: str, flags: str, opcode: int, wanted: tuple[bool, bool, bool]
) -> None:
    client = Socket(served, certificates, f"/v{version}/containers/{container(served)}/attach/ws?{flags}")
    options = served.memory.containers.calls[-1][1]
    assert isinstance(options, AttachOptions)
    assert (options.stdin, options.stdout, options.stderr) == wanted
    assert not options.multiplexed
    client.sock.sendall(masked(BINARY, b"x"))
    assert client.read() == (opcode, b"X")
    client.close()


def test_much_both_ways(served: Served, certificates: Path) -> None:
    client = Socket(served, certificates, ATTACH % container(served))
    text = bytes(random.Random(1).choices(b"ABCDEFGHIJ", k=300_000))
    received = b""
    for _ in range(5):
        client.sock.sendall(masked(BINARY, text.lower()))
        while len(received) < len(text):
            opcode, piece = client.read()
            assert opcode == BINARY
            received += piece
        assert received == text
        received = b""
    client.close()


def test_the_end_of_the_program_closes(served: Served, certificates: Path) -> None:
    box = container(served)
    client = Socket(served, certificates, ATTACH % box)
    client.sock.sendall(masked(BINARY, b"x"))
    assert client.read() == (BINARY, b"X")
    echo = served.memory.containers.find(box).echoes[0]
    served.loop.call_soon_threadsafe(echo.stop)
    assert client.read() == (CLOSE, struct.pack(">H", 1000))
    client.sock.sendall(masked(CLOSE, struct.pack(">H", 1000)))
    assert client.read() == (-1, b"")
    client.close()


def test_a_client_that_breaks_the_protocol_is_told(served: Served, certificates: Path) -> None:
    client = Socket(served, certificates, ATTACH % container(served), behind=frame(BINARY, b"bare"))
    assert client.read() == (CLOSE, struct.pack(">H", 1002))
    assert client.read() == (-1, b"")
    client.close()


def test_a_client_that_vanishes_is_the_end_of_its_input(served: Served, certificates: Path) -> None:
    box = container(served)
    client = Socket(served, certificates, ATTACH % box)
    client.sock.sendall(masked(BINARY, b"x"))
    assert client.read() == (BINARY, b"X")
    client.close()
    echo = served.memory.containers.find(box).echoes[0]
    deadline = time.monotonic() + 20
    while not echo.ended.is_set():
        assert time.monotonic() < deadline, "the program does not hear of it"
        time.sleep(0.01)


def test_pings_without_end_are_not_kept(served: Served, certificates: Path) -> None:
    """A client that pings and does not read is not read any more, once its answers fill what is kept for it."""
    client = Socket(served, certificates, ATTACH % container(served))
    client.sock.settimeout(0.5)
    pings = masked(PING, bytes(125)) * 1000
    with pytest.raises(TimeoutError):
        for _ in range(400):
            client.sock.sendall(pings)
    client.close()


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/containers/nosuch/attach/ws", "", b"404 Not Found"),
        ("BOX", "Sec-WebSocket-Version: 7", b"400 Bad Request"),
        ("BOX", "Origin: http://localhost", b"101 Switching Protocols"),
        ("BOX", "Origin: http://elsewhere", b"403 Forbidden"),
        ("BOX", "Origin: null", b"403 Forbidden"),
    ],
)
def test_refusals(served: Served, certificates: Path, path: str, header: str, status: bytes) -> None:
    if path == "BOX":
        path = ATTACH % container(served)
    lines = [header] if header else []
    client = Socket(served, certificates, path, *lines)
    assert client.status == b"HTTP/1.1 " + status + b"\r\n"
    client.close()


def test_an_ordinary_get_is_refused(served: Served) -> None:
    body = ask(served, "GET", ATTACH % container(served))
    assert body == b'{"message":"not websocket protocol"}\n'
