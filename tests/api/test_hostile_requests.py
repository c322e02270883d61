"""Requests made to break the daemon: it answers with an error, or closes, and goes on."""

import socket
from collections.abc import Iterator

import pytest

from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import within

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")

NAMES = (
    *("..", "%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", "a%00b", "a%0d%0aX-Y: z", "\u2215etc", "%", "%zz"),
    "a" * 5000,
    "sha256:" + "0" * 64,
)


def raw(engine: Sampan, sent: bytes, seconds: float = 10) -> bytes:
    """What the daemon answers to these bytes until it closes, says nothing more for a while, or `seconds` are over."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds)
        sock.connect(str(engine.socket))
        try:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            received = b""
            while piece := sock.recv(65536):
                received += piece
        except (ConnectionError, BrokenPipeError):
            return b""
        return received


@pytest.fixture(autouse=True)
def _answers_afterwards(engine: Sampan) -> Iterator[None]:
    yield
    assert engine.api("GET", "/_ping").status == 200
    assert engine.process is not None
    assert engine.process.poll() is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "route", ["/containers/{}/json", "/images/{}/json", "/volumes/{}", "/networks/{}", "/exec/{}/json"]
)
def test_odd_names_are_not_found_or_bad(engine: Sampan, route: str, name: str) -> None:
    path = route.format(name)
    answer = raw(engine, f"GET {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"400", b"404", b"301", b"414", b"431"), answer[:300]


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "", "-a", "a\0b", "a\nb", "x" * 300])
def test_names_that_would_be_paths(engine: Sampan, name: str) -> None:
    assert engine.api("POST", "/v1.41/volumes/create", {"Name": name or "../"}).status in (400, 500)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n" + b"X: a\r\n" * 100_000 + b"\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /containers/create HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /containers/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(range(256)) * 300,
        b"GET /_ping HTTP/1.1\nHost: a\n\n",
        "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1"),
    ],
    ids=range(14),
)
def test_bytes_that_are_no_request(engine: Sampan, sent: bytes) -> None:
    answer = raw(engine, sent)
    assert b" 500 " not in answer.split(b"\r\n")[0]


def test_body_without_end_is_refused(engine: Sampan) -> None:
    body = b'{"Image": "' + b"a" * (64 << 20) + b'"}'
    head = "POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    answer = raw(engine, head.encode() + body)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"404", b"413"), answer[:200]


def test_nested_json_does_not_end_the_daemon(engine: Sampan) -> None:
    depth = 100_000
    body = b'{"Labels":' + b"[" * depth + b"]" * depth + b"}"
    answer = engine.api("POST", "/v1.41/containers/create", body, headers={"Content-Type": "application/json"})
    assert answer.status == 400


def test_environment_of_two_megabytes_works_or_is_refused_clearly(engine: Sampan) -> None:
    spec = {"Image": "busybox", "Cmd": ["sh", "-c", "echo ${#LARGE}"], "Env": ["LARGE=" + "x" * (2 << 20)]}
    created = engine.api("POST", "/v1.41/containers/create", spec)
    assert created.status == 201
    document = created.json()
    assert isinstance(document, dict)
    started = engine.api("POST", f"/v1.41/containers/{document['Id']}/start")
    # One string of execve(2) holds 128 KiB (MAX_ARG_STRLEN).
    assert started.status in (400, 500)
    assert b"argument list too long" in started.body
    assert engine.api("DELETE", f"/v1.41/containers/{document['Id']}").status == 204


def test_environment_of_two_megabytes_in_pieces(engine: Sampan) -> None:
    pieces = [word for number in range(20) for word in ("-e", f"V{number}={'x' * 100_000}")]
    outcome = engine.docker("run", "--rm", *pieces, "busybox", "sh", "-c", "echo ${#V19}")
    assert outcome.text == "100000" or b"argument list too long" in outcome.err


def test_hundred_mounts(engine: Sampan) -> None:
    mounts = [word for number in range(100) for word in ("-v", f"/usr/share:/mnt/{number}:ro")]
    outcome = engine.docker("run", "--rm", *mounts, "busybox", "sh", "-c", "grep -c ' /mnt/' /proc/mounts")
    assert outcome.text == "100"


def test_many_idle_connections(engine: Sampan) -> None:
    idle = []
    try:
        for _ in range(500):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(str(engine.socket))
            sock.sendall(b"GET /_p")
            idle.append(sock)
        with within(2):
            assert engine.api("GET", "/_ping").status == 200
    finally:
        for sock in idle:
            sock.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_browser_page_of_elsewhere_gets_nothing(engine: Sampan, origin: str) -> None:
    answer = engine.api("POST", "/v1.41/containers/create", {"Image": "busybox"}, headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
