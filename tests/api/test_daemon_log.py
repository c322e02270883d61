"""The daemon's log: one line for each request with its id, the same id in what launcher and monitors tell, and no secret in any."""

import base64
import json
import shutil
from collections.abc import Iterator

import pytest

from tests.archives import Layer
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox")

SECRET = "hush-hush-42"


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    proxy = f"http://me:{SECRET}@127.0.0.1:1"
    with running_sampan("--debug", "--log-format=json", "--http-proxy", proxy, "--https-proxy", proxy) as started:
        started.load_busybox()
        yield started


def told(engine: Sampan, request: str = "") -> list[dict[str, str]]:
    """The lines of the log, each a JSON object, or those about one request."""
    found = [json.loads(line) for line in engine.log.read_text().splitlines()]
    return [line for line in found if not request or line.get("request") == request]


def test_every_line_is_an_object_and_every_request_has_its_line(engine: Sampan) -> None:
    answer = engine.api("GET", "/version?secret=1", headers={"X-Request-Id": "job-7.step:2"})
    assert answer.headers["x-request-id"] == "job-7.step:2"
    eventually(lambda: told(engine, "job-7.step:2"))
    (line,) = told(engine, "job-7.step:2")
    assert line["level"] == "debug"
    assert line["msg"].startswith("GET /version: 200, ")
    assert all({"level", "msg", "time"} <= line.keys() for line in told(engine))


def test_an_unfit_id_is_replaced_by_one_of_ours(engine: Sampan) -> None:
    first, second = (engine.api("GET", "/_ping", headers={"X-Request-Id": given}) for given in ("a b", "x" * 65))
    ids = {first.headers["x-request-id"], second.headers["x-request-id"]}
    assert len(ids) == 2
    assert ids.isdisjoint({"a b", "x" * 65})
    eventually(lambda: all(told(engine, each) for each in ids))


def test_a_stream_and_a_refusal_have_theirs(engine: Sampan) -> None:
    until = engine.api("GET", "/events?since=0&until=1", headers={"X-Request-Id": "stream"})
    assert until.headers["x-request-id"] == "stream"
    assert engine.api("GET", "/containers/none/json", headers={"X-Request-Id": "lost"}).status == 404
    eventually(lambda: told(engine, "stream") and told(engine, "lost"))
    assert told(engine, "stream")[0]["msg"].startswith("GET /events: 200, ")
    assert told(engine, "lost")[0]["msg"].startswith("GET /containers/none/json: 404, ")


def test_a_monitors_line_bears_the_id_of_the_request_that_started_it(engine: Sampan) -> None:
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    made = engine.api("POST", "/containers/create?name=orphan", body).json()
    assert isinstance(made, dict)
    begun = engine.api("POST", "/containers/orphan/start", headers={"X-Request-Id": "begin-orphan"})
    assert begun.status == 204
    # Its record cannot be written at the end: that is told.
    shutil.rmtree(engine.exec_root / "containers" / str(made["Id"]))
    assert engine.api("DELETE", "/containers/orphan?force=1").status == 204
    line = eventually_told(engine, "begin-orphan", f"monitor of {str(made['Id'])[:12]}: its end is told")
    assert line["level"] == "error"
    assert "No such file or directory" in line["msg"]


def eventually_told(engine: Sampan, request: str, beginning: str) -> dict[str, str]:
    def lines() -> list[dict[str, str]]:
        return [line for line in told(engine, request) if line["msg"].startswith(beginning)]

    eventually(lines, f"no line {beginning!r}")
    return lines()[0]


def test_no_secret_is_in_any_line(engine: Sampan) -> None:
    login = {"username": "me", "password": SECRET, "serveraddress": "127.0.0.1:1"}
    header = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}
    assert engine.api("POST", "/auth", login).status >= 400
    assert engine.api("POST", "/images/create?fromImage=127.0.0.1:1/a&tag=b", headers=header).body
    assert engine.api("POST", "/images/create?fromImage=busybox2&tag=b", headers=header).body
    environment = [f"TOKEN={SECRET}"]
    for command, network in ((["true"], "none"), (["/no/such", SECRET], "none"), (["true"], "container:nobody")):
        body = {
            "Image": "busybox",
            "Cmd": command,
            "Env": environment,
            "Labels": {"a": SECRET},
            "HostConfig": {"NetworkMode": network},
        }
        made = engine.api("POST", "/containers/create?name=secretive", body)
        if made.status == 201:
            engine.api("POST", "/containers/secretive/start")
            engine.api("DELETE", "/containers/secretive?force=1")
    assert engine.api("POST", "/containers/create", b'{"Env": ["A=' + SECRET.encode() + b'"').status == 400
    context = Layer()
    context.file("Dockerfile", b"FROM busybox\nARG TOKEN\nENV X=$TOKEN\nRUN echo $TOKEN; false\n")
    built = engine.api("POST", f'/build?networkmode=none&buildargs={{"TOKEN":"{SECRET}"}}', context.tar())
    assert b"returned a non-zero code" in built.body
    bad = {
        "Name": "share",
        "DriverOpts": {"type": "cifs", "device": "//127.0.0.1/a", "o": f"username=me,password={SECRET}"},
    }
    engine.api("POST", "/volumes/create", bad)
    mounted = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["share:/v"], "NetworkMode": "none"}}
    assert engine.api("POST", "/containers/create?name=mounting", mounted).status in (201, 500)
    engine.api("POST", "/containers/mounting/start")
    engine.api("DELETE", "/containers/mounting?force=1")
    engine.api("DELETE", "/volumes/share")
    text = engine.log.read_text()
    assert "POST /build: 200" in text
    assert [line for line in text.splitlines() if SECRET in line] == []
