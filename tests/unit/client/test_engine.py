"""The client against a scripted daemon on a unix socket: versions, refusals, silence, reuse of a connection."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.client.address import Address
from sampan.client.engine import Engine, quoted, with_query
from sampan.client.failures import BrokenConversation, DaemonUnreachable, RefusedByDaemon


class Script:
    """Answers each request, in order, with the next of `answers`; closes the connection where an answer is b""."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.address = Address(f"unix://{path}", "unix", path=str(path))
        self.heads: list[bytes] = []
        self.connections = 0
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # A client that rightly did not come again leaves an answer over; only then may accept fail.
                assert self._over.is_set()
                return
            self.connections += 1
            with connection:
                while self._answers and self._one(connection):
                    pass

    def _one(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return False
            head += data
        self.heads.append(head)
        answer = self._answers.pop(0)
        connection.sendall(answer)
        return bool(answer)

    def close(self) -> None:
        """Ends the thread first: a descriptor closed under accept(2) could be another socket's by then."""
        self._over.set()
        with contextlib.suppress(OSError):  # not connected: shutdown wakes accept all the same
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._listener.close()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[list[Script]]:
    made: list[Script] = []
    yield made
    for one in made:
        one.close()


def pong(version: str) -> bytes:
    fields = f"Api-Version: {version}\r\nOstype: linux\r\nServer: Sampan/1.0.0 (linux)\r\nContent-Length: 2"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode()


def body(text: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        len(text),
        text,
    )


@pytest.mark.parametrize(
    ("theirs", "agreed"), [("1.41", "1.41"), ("1.51", "1.51"), ("1.99", "1.51"), ("1.24", "1.24"), ("1.9", "1.9")]
)
def test_the_lower_version_is_spoken(theirs: str, agreed: str, script: list[Script], tmp_path: Path) -> None:
    script.append(Script(tmp_path / "s", [pong(theirs), body(b"[]")]))
    engine = Engine(script[0].address)
    assert engine.fetch("/containers/json") == []
    engine.close()
    assert engine.version == agreed
    assert script[0].heads[1].startswith(f"GET /v{agreed}/containers/json HTTP/1.1".encode())
    assert script[0].connections == 1
    assert engine.is_sampan


def test_a_demanded_version_asks_no_ping(script: list[Script], tmp_path: Path) -> None:
    script.append(Script(tmp_path / "s", [body(b"{}")]))
    engine = Engine(script[0].address, "1.30")
    assert engine.fetch_document("/info") == {}
    engine.close()
    assert len(script[0].heads) == 1


def test_refusal_has_status_and_the_daemons_words(script: list[Script], tmp_path: Path) -> None:
    script.append(
        Script(tmp_path / "s", [pong("1.51"), body(b'{"message":"No such container: x"}\n', "404 Not Found")])
    )
    engine = Engine(script[0].address)
    with pytest.raises(RefusedByDaemon, match=r"^Error response from daemon: No such container: x$") as caught:
        engine.fetch("/containers/x/json")
    engine.close()
    assert caught.value.status == 404


def test_idle_connection_that_was_closed_is_made_anew_for_a_read(script: list[Script], tmp_path: Path) -> None:
    script.append(Script(tmp_path / "s", [pong("1.51"), b"", body(b"[1]")]))
    engine = Engine(script[0].address)
    assert engine.fetch("/x") == [1]
    engine.close()


def test_idle_connection_that_was_closed_is_not_tried_again_for_a_change(script: list[Script], tmp_path: Path) -> None:
    script.append(Script(tmp_path / "s", [pong("1.51"), b"", body(b"{}")]))
    with pytest.raises(BrokenConversation):
        Engine(script[0].address).order("POST", "/containers/x/start")


def test_nobody_there(tmp_path: Path) -> None:
    address = Address(f"unix://{tmp_path}/s", "unix", path=f"{tmp_path}/s")
    with pytest.raises(DaemonUnreachable, match="Is the docker daemon running") as caught:
        Engine(address).ping()
    assert not caught.value.silent


def test_a_socket_that_accepts_and_says_nothing_does_not_hang(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(DaemonUnreachable) as caught:
            Engine(Address("unix://s", "unix", path=str(tmp_path / "s"))).ping(timeout=0.2)
    assert caught.value.silent


@pytest.mark.parametrize(("path", "query", "expected"), [
    ("/x", None, "/x"),
    ("/x", {"a": None}, "/x"),
    ("/x", {"a": "b c&d", "e": "é"}, "/x?a=b%20c%26d&e=%C3%A9"),
    ("/x?n=1", {"a": "b"}, "/x?n=1&a=b"),
])  # fmt: skip
def test_queries(path: str, query: dict[str, str | None] | None, expected: str) -> None:
    assert with_query(path, query) == expected


def test_quoting_leaves_no_way_out_of_a_path() -> None:
    assert quoted("../x?y#z%") == "..%2Fx%3Fy%23z%25"
    assert quoted("a/b:c", "/:") == "a/b:c"
