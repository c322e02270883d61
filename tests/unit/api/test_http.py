"""The server as raw sockets see it: framing, order, limits, errors, streams."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from sampan.spec.requests import LogOptions
from tests.api.serving import Served, serving

CREATE = b'{"Image":"busybox"}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http")) as started:
        yield started


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


class Client:
    """Reads answers exactly, so that what belongs to the next one stays."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, raw: bytes) -> "Client":
        self.sock.sendall(raw)
        return self

    def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
        if body:
            lines += [f"Content-Length: {len(body)}"]
            if not any(line.lower().startswith("content-type") for line in headers):
                lines.append("Content-Type: application/json")
        return self.send("\r\n".join([*lines, "", ""]).encode() + body).read(method == "HEAD")

    def read_head(self) -> Answer:
        first = self.file.readline()
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(": ")
            headers[name] = value.strip()
        return Answer(int(first.split()[1]) if first else 0, headers, b"")

    def read_chunk(self) -> bytes:
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        self.file.readline()
        return data

    def read(self, head_only: bool = False) -> Answer:
        answer = self.read_head()
        if head_only or answer.status in (204, 304):
            return answer
        if answer.headers.get("Transfer-Encoding") == "chunked":
            while chunk := self.read_chunk():
                answer.body += chunk
        elif "Content-Length" in answer.headers:
            answer.body = self.file.read(int(answer.headers["Content-Length"]))
        else:
            answer.body = self.file.read()
        return answer

    def at_end(self) -> bool:
        return self.file.read(1) == b""


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with served.connect() as sock:
        connected = Client(sock)
        yield connected
        connected.file.close()


def container(client: Client, name: str) -> str:
    made = client.ask("POST", f"/containers/create?name={name}", CREATE)
    assert made.status == 201, made.body
    return str(json.loads(made.body)["Id"])


def test_ping(client: Client) -> None:
    answer = client.ask("GET", "/_ping")
    assert (answer.status, answer.body) == (200, b"OK")
    expected = {
        "Api-Version": "1.51",
        "Builder-Version": "1",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Content-Length": "2",
        "Content-Type": "text/plain; charset=utf-8",
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Pragma": "no-cache",
        "Server": "Sampan/1.0.0 (linux)",
        "Swarm": "inactive",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    head = client.ask("HEAD", "/_ping")
    assert (head.status, head.headers["Content-Length"], head.headers["Api-Version"]) == (200, "0", "1.51")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nope", 404, "page not found"),
        ("PATCH", "/info", 404, "page not found"),
        ("GET", "/v1.41/nope", 404, "page not found"),
        ("GET", "/v1.52/info", 400, "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("GET", "/containers/x/json", 404, "No such container: x"),
        ("GET", "/containers/a%2Fb/json", 404, "No such container: a/b"),
        ("GET", "/images/a/b%3A1/json", 404, "No such image: a/b:1"),
        ("POST", "/containers/x/kill", 404, "cannot kill container: x: No such container: x"),
        ("GET", "/containers/x/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("POST", "/containers/x/wait?condition=soon", 400, 'invalid condition: "soon"'),
        ("GET", "/events?since=2&until=1", 400, "`since` time (2) cannot be after `until` time (1)"),
        ("GET", "/containers/json?filters=x", 400, "invalid filter"),
        ("POST", "/containers/x/stop?t=soon", 500, 'strconv.Atoi: parsing "soon": invalid syntax'),
        ("DELETE", "/images/%20", 400, "image name cannot be blank"),
        ("PUT", "/volumes/x", 503, "volume update only valid for cluster volumes, but swarm is unavailable"),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", 501, "not implemented by Sampan yet: swarm mode"),
        ("GET", "/images/x/json?platform=%7B%22os%22:%22linux%22%7D", 400, "both OS and Architecture must be provided"),
    ],
)
def test_errors(client: Client, method: str, path: str, status: int, message: str) -> None:
    answer = client.ask(method, path)
    assert (answer.status, answer.message) == (status, message)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/swarm", "/nodes", "/services/x", "/tasks", "/secrets", "/configs/y"])
def test_swarm(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status == 503
    assert answer.message == (
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
        "to connect this node to swarm and try again."
    )


@pytest.mark.parametrize("version", ["1.23", "1.9", "0.1"])
def test_clients_older_than_json_errors_get_text(client: Client, version: str) -> None:
    answer = client.ask("GET", f"/v{version}/info")
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    text = f"client version {version} is too old. Minimum supported API version is 1.24, please upgrade your client"
    assert answer.body.decode().startswith(text)


def test_options_and_absolute_targets(client: Client) -> None:
    assert client.ask("OPTIONS", "/whatever").status == 200
    assert client.ask("GET", "http://docker/v1.40/_ping").body == b"OK"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{", "application/json", "invalid JSON: Input data was truncated"),
        (b'{"Image":5}', "application/json", "invalid JSON: Expected `str`, got `int` - at `$.Image`"),
        (b"null", "application/json", "config cannot be empty in order to create a container"),
        (b" ", "application/json", "invalid JSON: got EOF while reading request body"),
        (b"x=y", "text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        (b"x=y", "", "malformed Content-Type header (): mime: no media type"),
    ],
)
def test_bad_bodies(client: Client, body: bytes, content_type: str, message: str) -> None:
    answer = client.ask("POST", "/containers/create", body, f"Content-Type: {content_type}")
    assert (answer.status, answer.message) == (400, message)
    assert client.ask("GET", "/_ping").status == 200


def test_a_json_body_has_a_limit(client: Client) -> None:
    big = b'{"Image":"busybox","Env":["A=' + b"x" * (2 * 1024 * 1024) + b'"]}'
    assert client.ask("POST", "/containers/create?name=bigenv", big).status == 201
    answer = client.ask("POST", "/containers/create", b'{"Image":"' + b"x" * (5 * 1024 * 1024) + b'"}')
    assert answer.status == 413
    assert answer.headers["Connection"] == "close"


def test_life_of_a_container(client: Client, served: Served) -> None:
    box = container(client, "life")
    assert client.ask("POST", f"/containers/{box}/start").status == 204
    again = client.ask("POST", "/containers/life/start")
    assert (again.status, again.body) == (304, b"")
    assert client.ask("POST", f"/containers/{box}/stop?t=3&signal=INT").status == 204
    assert ("stop", box, "INT", 3) in served.memory.containers.calls
    assert client.ask("POST", f"/v1.41/containers/{box}/stop?signal=INT").status == 304
    assert ("stop", box, "", None) in served.memory.containers.calls
    assert client.ask("POST", "/containers/life/rename?name=other").status == 204
    assert json.loads(client.ask("GET", "/containers/other/json?size=1").body)["SizeRw"] == 7
    assert client.ask("POST", "/containers/other/resize?h=5&w=6").status == 200
    assert ("resize", "other", 5, 6) in served.memory.containers.calls
    assert json.loads(client.ask("GET", "/containers/other/sampan/steps").body)[0]["name"] == "clone3"
    assert client.ask("DELETE", "/containers/other?v=1&force=1").status == 204


def test_a_start_with_a_body_is_refused(client: Client) -> None:
    container(client, "startbody")
    answer = client.ask("POST", "/containers/startbody/start", b'{"Binds":[]}')
    assert answer.status == 400
    assert answer.message.startswith("starting container with non-empty request body")
    assert client.ask("POST", "/containers/startbody/start", b"{}").status == 204


def test_pipelined_answers_keep_their_order(client: Client) -> None:
    ask = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
    client.send(ask % b"/_ping" + ask % b"/nope" + ask % b"/volumes" + ask % b"/_ping")
    assert [client.read().status for _ in range(4)] == [200, 404, 200, 200]


def test_pipelined_requests_of_a_client_that_sends_no_more_are_all_answered(client: Client) -> None:
    ask = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
    client.send(ask % b"/_ping" + ask % b"/nope" + ask % b"/volumes" + b"GET /_ping HTT").sock.shutdown(socket.SHUT_WR)
    assert [client.read().status for _ in range(3)] == [200, 404, 200]
    assert client.at_end()


def test_a_body_that_nobody_reads_is_passed_over(client: Client) -> None:
    assert client.ask("POST", "/nope", b"x" * 1000).status == 404
    assert client.ask("GET", "/_ping").status == 200


def test_an_unwanted_body_that_does_not_come_ends_the_connection(client: Client) -> None:
    answer = client.send(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc").read()
    assert answer.status == 404
    assert answer.headers["Connection"] == "close"
    assert client.at_end()


def test_continue(client: Client) -> None:
    client.send(
        b"POST /containers/create?name=c100 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CREATE)
    )
    assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert client.file.readline() == b"\r\n"
    assert client.send(CREATE).read().status == 201


def test_a_refused_expectation_gets_no_continue(client: Client) -> None:
    client.send(b"POST /nope HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert client.read().status == 404


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 66_000, 431),
    ],
)
def test_what_is_no_request(client: Client, raw: bytes, status: int) -> None:
    answer = client.send(raw).read()
    assert answer.status == status
    assert client.at_end()


def test_a_broken_chunk(client: Client) -> None:
    client.send(
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    answer = client.read()
    assert answer.status == 400
    assert answer.message.startswith("malformed request body")
    assert client.at_end()


def test_close_and_http_1_0(served: Served) -> None:
    for raw in (b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"GET /_ping HTTP/1.0\r\n\r\n"):
        with served.connect() as sock:
            client = Client(sock)
            assert client.send(raw).read().body == b"OK"
            assert client.at_end()
            client.file.close()


def test_a_client_that_sends_no_more_still_gets_its_answer(client: Client) -> None:
    client.send(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n").sock.shutdown(socket.SHUT_WR)
    assert client.read().status == 200
    assert client.at_end()


def test_wait_sends_its_head_at_once(client: Client, served: Served) -> None:
    box = container(client, "waited")
    client.send(b"POST /containers/waited/wait?condition=next-exit HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.read_head().status == 200
    with served.connect() as other:
        second = Client(other)
        assert second.ask("POST", f"/containers/{box}/start").status == 204
        assert second.ask("POST", f"/containers/{box}/kill").status == 204
        second.file.close()
    assert json.loads(client.read_chunk()) == {"StatusCode": 137}
    assert client.read_chunk() == b""
    assert client.ask("GET", "/_ping").status == 200


def test_wait_before_1_30_answers_when_it_ends(client: Client) -> None:
    container(client, "oldwait")
    client.ask("POST", "/containers/oldwait/start")
    client.ask("POST", "/containers/oldwait/kill")
    answer = client.ask("POST", "/v1.29/containers/oldwait/wait?condition=whatever")
    assert json.loads(answer.body) == {"StatusCode": 137}


def frames(*parts: tuple[int, bytes]) -> bytes:
    return b"".join(bytes((stream, 0, 0, 0)) + len(line).to_bytes(4, "big") + line for stream, line in parts)


def test_logs(client: Client) -> None:
    container(client, "logs")
    answer = client.ask("GET", "/containers/logs/logs?stdout=1&stderr=1&tail=5")
    assert answer.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"
    assert answer.body == frames((1, b"one\n"), (2, b"two\n"), (1, b"three\n"))
    older = client.ask("GET", "/v1.41/containers/logs/logs?stdout=1")
    assert older.headers["Content-Type"] == "application/vnd.docker.raw-stream"


def test_logs_of_a_terminal_have_no_frames(client: Client) -> None:
    client.ask("POST", "/containers/create?name=ttylogs", b'{"Image":"busybox","Tty":true}')
    answer = client.ask("GET", "/containers/ttylogs/logs?stdout=1")
    assert answer.headers["Content-Type"] == "application/vnd.docker.raw-stream"
    assert answer.body == b"one\ntwo\nthree\n"


def test_logs_end_with_their_client(client: Client, served: Served) -> None:
    container(client, "followed")
    served.memory.containers.log_closed.clear()
    client.send(b"GET /containers/followed/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n").read_head()
    client.read_chunk()
    client.file.close()
    client.sock.close()
    deadline = time.monotonic() + 3
    while not served.memory.containers.log_closed.is_set() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.memory.containers.log_closed.is_set()


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        ("", {}),
        ("since=0&until=0", {"since": 0}),
        ("since=1.5&until=2.000000001", {"since": 1_500_000_000, "until": 2_000_000_001}),
        ("since=-1&until=0.0", {"since": -1_000_000_000, "until": 0}),
        ("until=", {}),
        ("tail=all", {}),
        ("tail=", {}),
        ("tail=0", {"tail": 0}),
        ("tail=007", {"tail": 7}),
        ("tail=%2B5", {"tail": 5}),
        ("tail=-5", {}),
        ("tail=1.5", {}),
        ("tail=0x5", {}),
        ("tail=1_0", {}),
        ("tail=99999999999999999999", {}),
        ("follow=1&timestamps=true&details=yes", {"follow": True, "timestamps": True, "details": True}),
        ("follow=0&timestamps=false&details=none", {}),
    ],
)
def test_what_logs_are_asked_for(client: Client, served: Served, query: str, changes: dict[str, object]) -> None:
    calls = served.memory.containers.calls
    client.ask("POST", "/containers/create?name=asked", CREATE)
    client.send(f"GET /containers/asked/logs?stdout=1&{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).read_head()
    assert calls[-1] == ("logs", LogOptions(**{"stdout": True, **changes}))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["since", "until"])
@pytest.mark.parametrize("text", ["abc", "1.", ".5", "1.x", "2026-01-02T03:04:05Z", "1m", "9" * 20, "0x1"])
def test_times_that_are_none(client: Client, field: str, text: str) -> None:
    answer = client.ask("GET", f"/containers/x/logs?stdout=1&{field}={text}")
    assert answer.status == 400
    assert f'invalid value for "{field}"' in json.loads(answer.body)["message"]


@pytest.fixture
def carried(served: Served) -> Iterator[Served]:
    """Followed logs are carried by somebody else than the server."""
    served.memory.containers.log_outlives = True
    yield served
    served.memory.containers.log_outlives, served.memory.containers.log_carries = False, True


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_stream_is_given_away_behind_its_head(client: Client, carried: Served, version: str) -> None:
    container(client, f"carried-{version}")
    client.send(f"GET /containers/carried-{version}/logs?stdout=1&follow=1 HTTP/{version}\r\nHost: x\r\n\r\n".encode())
    head, _, body = client.file.read().partition(b"\r\n\r\n")
    chunked = version == "1.1"
    assert b"\r\nConnection: close" in head
    assert (b"\r\nTransfer-Encoding: chunked" in head) == chunked
    assert body == (b"e\r\none\ntwo\nthree\n\r\n0\r\n\r\n" if chunked else b"one\ntwo\nthree\n")


def test_a_stream_that_nobody_takes_is_sent_from_here(client: Client, carried: Served) -> None:
    carried.memory.containers.log_carries = False
    container(client, "kept")
    client.send(b"GET /containers/kept/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n").read_head()
    got = client.read_chunk() + client.read_chunk()
    assert got == frames((1, b"one\n"), (2, b"two\n"), (1, b"three\n"))


def test_what_only_looks_back_keeps_its_connection(client: Client, carried: Served) -> None:
    container(client, "lookback")
    for _ in range(2):
        answer = client.ask("GET", "/containers/lookback/logs?stdout=1")
        assert "Connection" not in answer.headers


def test_events(client: Client, served: Served) -> None:
    client.send(b'GET /events?filters={"type":{"container":true}} HTTP/1.1\r\nHost: x\r\n\r\n')
    assert client.read_head().headers["Content-Type"] == "application/json"
    with served.connect() as other:
        second = Client(other)
        box = container(second, "told")
        second.file.close()
    event = json.loads(client.read_chunk())
    assert (event["Action"], event["Actor"]["ID"], event["scope"], event["status"]) == (
        "create",
        box,
        "local",
        "create",
    )
    assert served.memory.events.options is not None
    assert served.memory.events.options.filters == {"type": ("container",)}


def test_past_events_end(client: Client) -> None:
    container(client, "past")
    answer = client.ask("GET", "/events?since=0&until=5")
    assert b'"past"' in answer.body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


LOAD = b"POST /images/load?quiet=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_large_upload(client: Client, served: Served) -> None:
    served.memory.images.received = 0
    piece = b"x" * 100_000
    client.send(LOAD)
    for _ in range(50):
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    answer = client.send(b"0\r\n\r\n").read()
    assert answer.body == b'{"stream":"Loaded image: busybox:latest\\n"}\r\n'
    assert served.memory.images.received == 5_000_000
    assert client.ask("GET", "/_ping").status == 200


def test_a_failed_load_says_so_in_its_stream(client: Client, served: Served) -> None:
    served.memory.images.received, served.memory.images.refuse_after = 0, 10
    try:
        answer = client.send(LOAD + chunked(b"x" * 100)).read()
    finally:
        served.memory.images.refuse_after = None
    assert answer.status == 200
    assert json.loads(answer.body) == {"errorDetail": {"message": "archive is broken"}, "error": "archive is broken"}


def test_import(client: Client) -> None:
    ask = b"POST /images/create?fromSrc=-&repo=a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"sha256:" in client.send(ask + chunked(b"tar")).read().body


def test_an_import_that_fails_at_once_has_a_status(client: Client, served: Served) -> None:
    served.memory.images.received = 0
    answer = client.ask("POST", "/images/create?fromSrc=-")
    assert (answer.status, answer.message) == (400, "archive is empty")


def test_a_pull_is_told_in_lines(client: Client) -> None:
    answer = client.ask("POST", "/images/create?fromImage=busybox&tag=latest", b"", "X-Registry-Auth: e30=")
    assert answer.status == 200
    assert answer.body.split(b"\r\n") == [
        b'{"status":"Pulling from library/busybox","id":"latest"}',
        b'{"status":"Pulling fs layer","progressDetail":{},"id":"0123456789ab"}',
        b"",
    ]


def test_what_a_pull_says_before_its_first_line_has_a_status(client: Client) -> None:
    assert client.ask("POST", "/images/create?fromImage=nothing&tag=latest").status == 404
    broken = client.ask("POST", "/images/create?fromImage=broken&tag=latest")
    assert broken.status == 200
    last = b'{"errorDetail":{"message":"unsupported media type x"},"error":"unsupported media type x"}'
    assert broken.body.split(b"\r\n")[-2] == last


def test_a_push_tells_what_it_left(client: Client) -> None:
    answer = client.ask("POST", "/images/here:1/a/b/push?tag=1")
    assert answer.body == b'{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:1","Size":5}}\r\n'


def test_save_and_its_failure(client: Client) -> None:
    answer = client.ask("GET", "/images/get?names=a&names=b%2Fc")
    assert (answer.headers["Content-Type"], answer.body) == ("application/x-tar", b"tar" * 3000)
    missing = client.ask("GET", "/images/nothing/get")
    assert (missing.status, missing.message) == (404, "No such image: nothing")


def test_a_slow_reader_is_waited_for(client: Client, served: Served) -> None:
    served.memory.images.archive = [b"x" * 1_000_000] * 20
    try:
        client.send(b"GET /images/a/get HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        assert client.read().body == b"x" * 20_000_000
    finally:
        served.memory.images.archive = [b"tar" * 1000] * 3


def test_images_for_older_clients(client: Client) -> None:
    new = json.loads(client.ask("GET", "/images/json").body)
    old = json.loads(client.ask("GET", "/v1.42/images/json").body)
    assert "VirtualSize" not in new[0]
    assert new[1]["RepoTags"] == []
    assert old[0]["VirtualSize"] == old[0]["Size"]
    assert old[1]["RepoTags"] == ["<none>:<none>"]
    config = json.loads(client.ask("GET", "/v1.49/images/busybox/json").body)["Config"]
    assert config["Hostname"] == ""
    assert "Hostname" not in json.loads(client.ask("GET", "/images/busybox/json").body)["Config"]


def test_info_and_version_for_older_clients(client: Client) -> None:
    new = json.loads(client.ask("GET", "/info").body)
    old = json.loads(client.ask("GET", "/v1.24/info").body)
    assert new["Swarm"]["LocalNodeState"] == "inactive"
    assert new["FirewallBackend"] == {"Driver": "nftables"}
    assert "BridgeNfIptables" not in new
    assert old["BridgeNfIptables"] is False
    assert "FirewallBackend" not in old
    assert old["RuncCommit"] == {"ID": "abc", "Expected": "abc"}
    assert old["SecurityOptions"] == ["seccomp"]
    version = json.loads(client.ask("GET", "/version").body)
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    assert version["Components"][0]["Details"] == {"Os": "linux", "ApiVersion": "1.51", "MinAPIVersion": "1.24"}


def test_volumes_and_networks(client: Client, served: Served) -> None:
    assert json.loads(client.ask("GET", "/volumes").body)["Volumes"][0]["Name"] == "data"
    made = client.ask("POST", "/volumes/create", b'{"Name":"v","Labels":{"a":"b"}}')
    assert (made.status, json.loads(made.body)["Labels"]) == (201, {"a": "b"})
    assert client.ask("DELETE", "/volumes/v?force=1").status == 204
    client.ask("POST", "/v1.41/volumes/prune")
    assert served.memory.volumes.filters == {"all": ("true",)}
    assert json.loads(client.ask("GET", "/networks").body)[0]["Name"] == "bridge"
    assert json.loads(client.ask("GET", "/networks/bridge?verbose=true").body)["Driver"] == "bridge"
    assert client.ask("GET", "/networks/bridge?verbose=maybe").status == 400


def tcp(served: Served, *headers: str) -> Answer:
    with socket.create_connection(("127.0.0.1", served.port), 5) as sock:
        client = Client(sock)
        lines = "".join(f"{line}\r\n" for line in headers)
        answer = client.send(f"GET /_ping HTTP/1.1\r\n{lines}\r\n".encode()).read()
        client.file.close()
        return answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Host: 127.0.0.1:2375"], 200),
        (["Host: localhost"], 200),
        (["Host: api.moby.localhost"], 200),
        (["Host: [::1]:2375"], 200),
        (["Host: evil.example:2375"], 403),
        (["Host: 127.0.0.1.evil.example"], 403),
        (["Host: 127.0.0.1", "Origin: http://127.0.0.1:8000"], 403),
        (["Host: 127.0.0.1", "Origin: null"], 403),
        (["Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"], 403),
    ],
)
def test_web_pages_are_kept_out_of_tcp(served: Served, headers: list[str], status: int) -> None:
    assert tcp(served, *headers).status == status
