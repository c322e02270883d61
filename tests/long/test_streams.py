"""Hijacked streams over a real daemon, however the bytes come: what stands behind a request's head is the program's, and all of it.

STREAM_EXAMPLES sets how many connections each test makes (200).
"""

import contextlib
import json
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.daemons import Sampan, running_sampan
from tests.fuzzing.mutating import Mutator
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")

EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "200"))
SECONDS = 20.0
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
ATTACH = b"POST /v1.41/containers/over/attach?logs=1&stdout=1 HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"
WEBSOCKET = (
    b"GET /v1.41/containers/over/attach/ws?logs=1 HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x88\x80\0\0\0\0"
)
CONFIGURED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
PAYLOADS = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        (PING, b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\0", b"\xff" * 70_000, b"x" * 300_000)
    ),
)


@dataclass(frozen=True)
class Way:
    """How a start of an exec is written down and sent: in which framing, behind how many other requests, cut where."""

    upgrade: bool
    chunks: tuple[int, ...]
    extension: bytes
    before: int
    cuts: tuple[int, ...]


WAYS = st.builds(
    Way,
    st.booleans(),
    st.lists(st.integers(1, 12), max_size=5).map(tuple),
    st.sampled_from((b"", b";a=b", b' ; x="y"')),
    st.integers(0, 3),
    st.lists(st.integers(0, 700), max_size=4).map(tuple),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        assert started.docker("run", "-d", "--name", "box", "busybox", "sleep", "100000").code == 0
        assert started.docker("run", "--name", "over", "busybox", "echo", "said").code == 0
        yield started


def made(engine: Sampan, *command: str) -> str:
    body = {"Cmd": list(command), "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    answer = engine.api("POST", "/v1.41/containers/box/exec", body).json()
    assert isinstance(answer, dict)
    return str(answer["Id"])


def written(exec_: str, way: Way) -> bytes:
    """The request."""
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    lines = [f"POST /v1.41/exec/{exec_}/start HTTP/1.1", "Host: d", "Content-Type: application/json"]
    lines += ["Connection: Upgrade", "Upgrade: tcp"] if way.upgrade else []
    lines.append("Transfer-Encoding: chunked" if way.chunks else f"Content-Length: {len(body)}")
    return (
        PING * way.before + "\r\n".join(lines).encode() + b"\r\n\r\n" + (in_chunks(body, way) if way.chunks else body)
    )


def in_chunks(body: bytes, way: Way) -> bytes:
    parts, at = [], 0
    for size in way.chunks:
        parts.append(body[at : at + size])
        at += size
    parts = [part for part in (*parts, body[at:]) if part]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(part), way.extension, part) for part in parts) + b"0\r\n\r\n"


def said(engine: Sampan, sent: bytes, cuts: tuple[int, ...]) -> bytes:
    """What the daemon says to bytes that come in these pieces and end, until it closes."""
    received = b""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        sock.connect(str(engine.socket))
        at = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for cut in sorted(set(cuts)):
                sock.sendall(sent[at:cut])
                at = max(at, cut)
                time.sleep(0.001)
            sock.sendall(sent[at:])
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
    return received


def output(stream: bytes) -> bytes:
    """Of a multiplexed stream; nothing of it is left over."""
    found = b""
    while stream:
        _, length = struct.unpack_from(">BxxxI", stream)
        assert len(stream) >= 8 + length, stream[:100]
        found, stream = found + stream[8 : 8 + length], stream[8 + length :]
    return found


def test_whatever_stands_behind_the_head_is_the_programs(engine: Sampan) -> None:
    @CONFIGURED
    @given(way=WAYS, payload=PAYLOADS)
    def sent(way: Way, payload: bytes) -> None:
        answer = said(engine, written(made(engine, "cat"), way) + payload, way.cuts)
        for _ in range(way.before):
            head, _, answer = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK"), head
            assert answer.startswith(b"OK"), answer[:40]
            answer = answer.removeprefix(b"OK")
        head, _, stream = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 " if way.upgrade else b"HTTP/1.1 200 "), head
        assert output(stream) == payload

    sent()


def test_nearly_right_requests_are_refused_or_carried_out(engine: Sampan) -> None:
    """Bytes changed anywhere: no 500, no connection without an end, nothing left of it, and nobody else notices."""
    exec_ = made(engine, "true")
    way = Way(True, (3, 5), b"", 1, ())
    heads = [written(exec_, one) for one in (way, Way(False, (), b"", 0, ()))]
    heads += [ATTACH, WEBSOCKET, PING * 3]
    mutator = Mutator(heads, (b"\r\n", b"chunked", b"Content-Length: 5", b"Upgrade: tcp", b"Expect: 100-continue"), 7)
    before = descriptors(engine)
    for _ in range(EXAMPLES * 5):
        case = mutator.next()
        answer = said(engine, case, (len(case) // 2,))
        for status in re.findall(rb"^HTTP/1\.1 (\d+) ", answer, re.MULTILINE):
            assert status != b"500" or b"unable to find" in answer, (case, answer)
    assert engine.api("GET", "/_ping").status == 200
    until = time.monotonic() + SECONDS
    while descriptors(engine) > before + 4 and time.monotonic() < until:
        time.sleep(0.1)
    assert descriptors(engine) <= before + 4
    assert "Traceback" not in engine.log.read_text()


def descriptors(engine: Sampan) -> int:
    assert engine.process is not None
    return len(list(Path(f"/proc/{engine.process.pid}/fd").iterdir()))
