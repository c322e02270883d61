"""Connections that are given away: what was sent is not lost, wherever the network cuts it, on plain sockets and TLS."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sampan.spec.requests import AttachOptions
from tests.api.certificates import make_certificate, server_context
from tests.api.memory import frame
from tests.api.serving import Served, serving

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
MULTIPLEXED = b"application/vnd.docker.multiplexed-stream"
RAW = b"application/vnd.docker.raw-stream"
BYE = frame(2, b"bye\n")
ATTACH = "/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, signed by itself, that serves as the authority for both sides."""
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory)
    return directory


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hijack"), server_context(certificates)) as started:
        yield started


def ask(served: Served, method: str, path: str, body: bytes = b"") -> bytes:
    with served.connect() as sock:
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        return read_to_end(sock).partition(b"\r\n\r\n")[2]


def read_to_end(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def container(served: Served, tty: bool = False, started: bool = True) -> str:
    made = ask(served, "POST", "/containers/create", json.dumps({"Image": "busybox", "Tty": tty}).encode())
    box = str(json.loads(made)["Id"])
    if started:
        ask(served, "POST", f"/containers/{box}/start")
    return box


def attach(box: str, version: str = "/v1.51", upgrade: str = UPGRADE, extra: str = "Content-Length: 0\r\n") -> bytes:
    return f"POST {version}{ATTACH % box} HTTP/1.1\r\nHost: localhost\r\n{upgrade}{extra}\r\n".encode()


def head_of(kind: bytes) -> bytes:
    return b"HTTP/1.1 101 UPGRADED\r\nContent-Type: " + kind + b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


BARE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


def talk(served: Served, pieces: list[bytes], pause: float = 0.0) -> tuple[bytes, bytes]:
    """Send the pieces and no more; the answer's head and all that comes behind it."""
    with served.connect() as sock:
        for piece in pieces:
            sock.sendall(piece)
            if pause:
                time.sleep(pause)
        sock.shutdown(socket.SHUT_WR)
        head, separator, rest = read_to_end(sock).partition(b"\r\n\r\n")
        return head + separator, rest


def unframed(raw: bytes) -> dict[int, bytes]:
    found = {1: b"", 2: b""}
    while raw:
        size = int.from_bytes(raw[4:8], "big")
        found[raw[0]] += raw[8 : 8 + size]
        raw = raw[8 + size :]
    return found


@pytest.mark.parametrize("extra", ["Content-Length: 0\r\n", ""])
def test_input_in_the_segment_of_the_head(served: Served, extra: str) -> None:
    head, rest = talk(served, [attach(container(served), extra=extra) + b"hello"])
    assert head == head_of(MULTIPLEXED)
    assert unframed(rest) == {1: b"HELLO", 2: b"bye\n"}


def test_input_byte_by_byte(served: Served) -> None:
    raw = attach(container(served)) + b"hello, world"
    head, rest = talk(served, [raw[at : at + 1] for at in range(len(raw))], pause=0.0005)
    assert head == head_of(MULTIPLEXED)
    assert unframed(rest)[1] == b"HELLO, WORLD"


def test_much_input_at_once(served: Served) -> None:
    text = b"line of input\n" * 20_000
    _, rest = talk(served, [attach(container(served)) + text])
    assert unframed(rest)[1] == text.upper()


def test_a_terminal_is_raw(served: Served) -> None:
    head, rest = talk(served, [attach(container(served, tty=True)), b"hello"], pause=0.02)
    assert head == head_of(RAW)
    assert rest == b"HELLObye\n"


def test_older_clients_know_only_the_raw_type(served: Served) -> None:
    assert talk(served, [attach(container(served), version="/v1.41")])[0] == head_of(RAW)


@pytest.mark.parametrize("tty", [False, True])
def test_without_an_upgrade(served: Served, tty: bool) -> None:
    head, rest = talk(served, [attach(container(served, tty), upgrade="") + b"hi"])
    assert head == BARE_HEAD
    assert rest == (b"HIbye\n" if tty else frame(1, b"HI") + BYE)


def test_attached_before_the_start(served: Served) -> None:
    box = container(served, started=False)
    with served.connect() as sock:
        sock.sendall(attach(box) + b"early ")
        assert sock.recv(1000) == head_of(MULTIPLEXED)
        sock.sendall(b"and late")
        sock.shutdown(socket.SHUT_WR)
        ask(served, "POST", f"/containers/{box}/start")
        assert unframed(read_to_end(sock)) == {1: b"EARLY AND LATE", 2: b"bye\n"}


def test_options_reach_the_backend(served: Served) -> None:
    box = container(served)
    raw = (
        f"POST /containers/{box}/attach?stream=1&stdout=1&logs=1&detachKeys=ctrl-x HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"
    )
    talk(served, [raw.encode()])
    options = served.memory.containers.calls[-1][1]
    assert options == AttachOptions(stream=True, stdout=True, logs=True, detach_keys="ctrl-x")


def test_a_failure_before_the_hijack_is_an_ordinary_answer(served: Served) -> None:
    with served.connect() as sock:
        sock.sendall(attach("missing"))
        answer = sock.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert answer.endswith(b'{"message":"No such container: missing"}\n')
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(10_000).startswith(b"HTTP/1.1 200 OK")


def new_exec(served: Served, tty: bool = False) -> str:
    body = json.dumps({"Cmd": ["cat"], "Tty": tty, "AttachStdin": True}).encode()
    return str(json.loads(ask(served, "POST", f"/containers/{container(served)}/exec", body))["Id"])


def exec_start(exec_id: str, body: bytes, framing: str = "length", version: str = "/v1.51") -> bytes:
    head = f"POST {version}/exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\n{UPGRADE}Content-Type: application/json\r\n"
    if framing == "length":
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("pieces", ["one", "body apart", "bytes"])
def test_input_behind_the_body_of_an_exec(served: Served, framing: str, pieces: str) -> None:
    exec_id = new_exec(served)
    raw = exec_start(exec_id, b'{"Detach":false,"Tty":false}', framing) + b"hello"
    cut = raw.index(b"\r\n\r\n") + 4
    sent = {"one": [raw], "body apart": [raw[:cut], raw[cut:]], "bytes": [raw[at : at + 1] for at in range(len(raw))]}
    head, rest = talk(served, sent[pieces], pause=0.0005)
    assert head == head_of(MULTIPLEXED)
    assert unframed(rest) == {1: b"HELLO", 2: b"bye\n"}
    assert json.loads(ask(served, "GET", f"/exec/{exec_id}/json"))["ExitCode"] == 5


@pytest.mark.parametrize(
    ("tty", "version", "kind"), [(True, "/v1.51", RAW), (False, "/v1.41", RAW), (False, "", MULTIPLEXED)]
)
def test_types_of_execs(served: Served, tty: bool, version: str, kind: bytes) -> None:
    body = json.dumps({"Tty": tty}).encode()
    assert talk(served, [exec_start(new_exec(served, tty), body, version=version)])[0] == head_of(kind)


def test_a_detached_exec(served: Served) -> None:
    head, rest = talk(served, [exec_start(new_exec(served), b'{"Detach":true}')])
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest == b""


def test_execs_that_cannot_be(served: Served) -> None:
    assert b"No such exec instance: nope" in talk(served, [exec_start("nope", b"{}")])[1]
    assert b"No exec command specified" in ask(served, "POST", f"/containers/{container(served)}/exec", b'{"Cmd":[]}')
    assert b"is not running" in ask(
        served, "POST", f"/containers/{container(served, started=False)}/exec", b'{"Cmd":["a"]}'
    )


# TLS, where the daemon relays.


def secure(served: Served, certificates: Path, with_certificate: bool = True) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
    if with_certificate:
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    sock = socket.create_connection(("127.0.0.1", served.port), 5)
    return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)


def test_requests_over_tls(served: Served, certificates: Path) -> None:
    with secure(served, certificates) as sock:
        for _ in range(3):
            sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(10_000).endswith(b"\r\n\r\nOK")


def test_a_followed_log_over_tls_is_sent_from_here(served: Served, certificates: Path) -> None:
    box = container(served)
    served.memory.containers.log_outlives = True
    try:
        with secure(served, certificates) as sock:
            sock.sendall(f"GET /containers/{box}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received = b""
            while b"three\n" not in received:
                received += sock.recv(10_000)
    finally:
        served.memory.containers.log_outlives = False
    assert b"Connection: close" not in received
    assert received.count(b"\r\n\1\0\0\0\0\0\0\4one\n\2\0\0\0\0\0\0\4two\n\r\n") == 1


def test_a_client_without_a_certificate_is_refused(served: Served, certificates: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with secure(served, certificates, with_certificate=False) as sock:
            sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(1) == b""
            raise ConnectionError("closed")


def test_plain_http_on_a_tls_port(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 5) as sock:
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert b"HTTP" not in sock.recv(1000)
        except ConnectionResetError:
            pass


def test_a_large_answer_over_tls(served: Served, certificates: Path) -> None:
    served.memory.images.archive = [b"x" * 500_000] * 10
    try:
        with secure(served, certificates) as sock:
            sock.sendall(b"GET /images/a/get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            time.sleep(0.1)
            received = read_to_end(sock)
    finally:
        served.memory.images.archive = [b"tar" * 1000] * 3
    assert received.count(b"x") >= 5_000_000
    assert received.endswith(b"0\r\n\r\n")


def read_frames(sock: ssl.SSLSocket, wanted: int) -> dict[int, bytes]:
    raw = b""
    while len(raw) < wanted:
        part = sock.recv(65536)
        assert part, "ended early"
        raw += part
    return unframed(raw)


@pytest.mark.parametrize("together", [True, False])
def test_attach_over_tls(served: Served, certificates: Path, together: bool) -> None:
    with secure(served, certificates) as sock:
        raw = attach(container(served))
        head = head_of(MULTIPLEXED)
        if together:
            sock.sendall(raw + b"hello")
            assert sock.recv(len(head)) == head
        else:
            sock.sendall(raw)
            assert sock.recv(len(head)) == head
            sock.sendall(b"hello")
        assert read_frames(sock, 13)[1] == b"HELLO"
        sock.sendall(b"more")
        assert read_frames(sock, 12)[1] == b"MORE"


class TlsClient:
    """Closes its own side and goes on reading, as Go's `CloseWrite` does and Python's sockets cannot."""

    def __init__(self, served: Served, certificates: Path) -> None:
        context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        self.sock = socket.create_connection(("127.0.0.1", served.port), 5)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.until_done(self.tls.do_handshake)

    def until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
            finally:
                self.sock.sendall(self.outgoing.read())

    def send(self, data: bytes) -> None:
        self.until_done(lambda: self.tls.write(data))

    def close_write(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.sock.sendall(self.outgoing.read())

    def read_to_end(self) -> bytes:
        received = b""
        try:
            while True:
                received += self.until_done(lambda: self.tls.read(65536))
        except ssl.SSLZeroReturnError:
            return received


@pytest.mark.parametrize("when", ["at once", "later"])
def test_half_close_over_tls(served: Served, certificates: Path, when: str) -> None:
    client = TlsClient(served, certificates)
    with client.sock:
        client.send(attach(container(served)) + b"hello")
        if when == "later":
            time.sleep(0.05)
        client.close_write()
        head, _, rest = client.read_to_end().partition(b"\r\n\r\n")
    assert head + b"\r\n\r\n" == head_of(MULTIPLEXED)
    assert unframed(rest) == {1: b"HELLO", 2: b"bye\n"}


def test_much_both_ways_over_tls(served: Served, certificates: Path) -> None:
    text = b"0123456789abcdef" * 4096
    with secure(served, certificates) as sock:
        sock.sendall(attach(container(served)))
        assert sock.recv(len(head_of(MULTIPLEXED))) == head_of(MULTIPLEXED)
        received = b""
        for _ in range(20):
            sock.sendall(text)
            while received.count(b"F") < text.count(b"f"):
                received += sock.recv(65536)
            received = received[:0]
