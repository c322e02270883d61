"""Authorization plugins: what they are shown, that a no holds, and that nothing passes them."""

import base64
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Sampan, refused_start, running_sampan
from tests.plugin_servers import ServedPlugin, answering, served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")
ALLOW = {"Allow": True}
REQUEST, RESPONSE = "AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"
LIMIT = 4 * 1024 * 1024


class Guarded:
    def __init__(self, engine: Sampan, first: ServedPlugin, second: ServedPlugin, file: Path) -> None:
        self.engine, self.first, self.second, self.file = engine, first, second, file

    def shown(self, path: str, method: str = REQUEST) -> dict[str, Any]:
        return [body for body in self.first.of(method) if body["RequestUri"].endswith(path)][-1]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    directory = tmp_path_factory.mktemp("authz")
    file = directory / "daemon.json"
    file.write_text(json.dumps({"authorization-plugins": ["first", "second"]}))
    with ExitStack() as stack:
        plugins = [
            stack.enter_context(served(directory / f"{name}.sock", "authz", {REQUEST: ALLOW, RESPONSE: ALLOW}))
            for name in ("first", "second")
        ]
        engine = stack.enter_context(running_sampan("--plugin-dir", str(directory), "--config-file", str(file)))
        engine.load_busybox()
        yield Guarded(engine, plugins[0], plugins[1], file)


@pytest.fixture(autouse=True)
def again(guarded: Guarded) -> Iterator[None]:
    yield
    for plugin in (guarded.first, guarded.second):
        plugin.answers.update({REQUEST: ALLOW, RESPONSE: ALLOW})
        plugin.calls.clear()


def denying(path: str, message: str = "not you") -> Any:
    return lambda body: {"Allow": path not in body["RequestUri"], "Msg": message}


def test_a_request_and_its_answer_are_shown(guarded: Guarded) -> None:
    secret = {"X-Registry-Auth": "secret", "Authorization": "secret", "X-Registry-Config": "secret", "X-Mine": "seen"}
    answer = guarded.engine.api("POST", "/v1.41/volumes/create?x=1", {"Name": "shown"}, headers=secret)
    assert answer.status == 201
    before = guarded.shown("/v1.41/volumes/create?x=1")
    assert (before["RequestMethod"], json.loads(base64.b64decode(before["RequestBody"]))) == ("POST", {"Name": "shown"})
    assert before["RequestHeaders"]["X-Mine"] == "seen"
    assert before["RequestHeaders"]["Content-Type"] == "application/json"
    assert "secret" not in json.dumps(before)
    assert "ResponseStatusCode" not in before
    after = guarded.shown("/v1.41/volumes/create?x=1", RESPONSE)
    assert after["ResponseStatusCode"] == 201
    assert base64.b64decode(after["ResponseBody"]) == answer.body
    assert after["ResponseHeaders"]["Content-Type"] == "application/json"
    assert guarded.second.of(REQUEST)[-1] == before
    assert guarded.engine.api("DELETE", "/volumes/shown").status == 204
    assert guarded.engine.api("GET", "/info").json()["Plugins"]["Authorization"] == ["first", "second"]  # type: ignore[index]


def test_a_no_before_is_a_no(guarded: Guarded) -> None:
    guarded.second.answers[REQUEST] = denying("/volumes")
    answer = guarded.engine.api("POST", "/volumes/create", {"Name": "never"})
    assert (answer.status, answer.json()) == (403, {"message": "authorization denied by plugin second: not you"})
    guarded.second.answers[REQUEST] = ALLOW
    assert guarded.engine.api("GET", "/volumes/never").status == 404


def test_the_first_no_is_the_last_question(guarded: Guarded) -> None:
    guarded.first.answers[REQUEST] = denying("/version")
    assert guarded.engine.api("GET", "/version").status == 403
    assert [body for body in guarded.second.of(REQUEST) if "/version" in body["RequestUri"]] == []


def test_a_no_afterwards_keeps_the_answer_back(guarded: Guarded) -> None:
    guarded.first.answers[RESPONSE] = denying("/images/json")
    answer = guarded.engine.api("GET", "/images/json")
    assert (answer.status, b"sha256" in answer.body) == (403, False)
    done = guarded.engine.docker("image", "ls")
    assert b"authorization denied by plugin first: not you" in done.err


def test_streams_and_hijacked_connections_are_judged_before_they_begin(guarded: Guarded, tmp_path: Path) -> None:
    engine = guarded.engine
    assert engine.docker("run", "-d", "--network", "none", "--name", "one", "busybox", "sleep", "1000").code == 0
    for phase in (REQUEST, RESPONSE):
        guarded.first.answers[phase] = lambda body: {
            "Allow": not body["RequestUri"].endswith(("/start", "/attach?stream=1", "follow=1")),
            "Msg": "no",
        }
        denied = engine.docker("exec", "one", "touch", f"/{phase}")
        assert denied.code != 0
        assert b"received 403" in denied.err
        assert engine.api("POST", "/containers/one/attach?stream=1").status == 403
        assert engine.api("GET", "/containers/one/logs?stdout=1&follow=1").status == 403
        guarded.first.answers[phase] = ALLOW
    assert engine.docker("exec", "one", "ls", "/").text.count("AuthZPlugin") == 0
    assert engine.docker("run", "--rm", "-i", "--network", "none", "busybox", "cat", stdin=b"through").text == "through"
    engine.remove_containers()


def raw(engine: Sampan, data: bytes) -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(engine.socket))
        try:
            client.sendall(data)
        except BrokenPipeError:
            pass  # answered and closed before it was all read
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer.status, answer.read()


HEAD = b"POST /volumes/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_sec_no_body_passes_unseen(guarded: Guarded) -> None:
    """CVE-2024-41110: a body that is announced as empty, in chunks, or with another spelling of its type."""
    guarded.first.answers[REQUEST] = lambda body: {
        "Allow": b"evil" not in base64.b64decode(body.get("RequestBody", ""))
    }
    body = b'{"Name": "evil"}'
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert raw(guarded.engine, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)[0] == 403
    spelt = HEAD.replace(b"application/json", b"Application/JSON ;;; x")
    assert raw(guarded.engine, spelt + b"Content-Length: %d\r\n\r\n" % len(body) + body)[0] == 403
    assert raw(guarded.engine, HEAD + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)[0] == 400
    # What follows a body of no bytes is the next request, and none.
    status, _ = raw(guarded.engine, HEAD + b"Content-Length: 0\r\nConnection: close\r\n\r\n" + body)
    assert status == 201
    plain = HEAD.replace(b"application/json", b"text/plain")
    assert raw(guarded.engine, plain + b"Content-Length: %d\r\n\r\n" % len(body) + body)[0] == 400
    volumes = guarded.engine.api("GET", "/volumes").json()
    assert isinstance(volumes, dict)
    assert "evil" not in [volume["Name"] for volume in volumes["Volumes"]]
    for volume in volumes["Volumes"]:
        assert guarded.engine.api("DELETE", f"/volumes/{volume['Name']}").status == 204


@pytest.mark.parametrize("chunked", [False, True])
def test_sec_a_body_too_large_to_be_shown_is_denied(guarded: Guarded, chunked: bool) -> None:
    """CVE-2024-41110 and CVE-2026-34040: what no plugin saw does not pass."""
    body = json.dumps({"Name": "large", "Labels": {"pad": "x" * LIMIT}}).encode()
    if chunked:
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        framed = b"Content-Length: %d\r\n\r\n" % len(body) + body
    status, told = raw(guarded.engine, HEAD + framed)
    assert status == 413
    assert b"request body too large for authorization plugin: size exceeds 4194304 bytes" in told
    assert guarded.engine.api("GET", "/volumes/large").status == 404


def test_archives_pass_without_being_shown(guarded: Guarded) -> None:
    guarded.engine.load_busybox()
    assert "RequestBody" not in guarded.shown("/images/load")


def test_passwords_are_not_shown(guarded: Guarded) -> None:
    guarded.engine.api("POST", "/auth", {"username": "me", "password": "secret", "serveraddress": "127.0.0.1:1"})
    assert "RequestBody" not in guarded.shown("/auth")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"Err": "broken"}, "authorization denied by plugin first: broken"),
        ({}, "authorization denied by plugin first: "),
        ({"Allow": True, "Err": "broken"}, "plugin first failed with error: broken"),
        ((500, {"Err": "broken"}), "plugin first failed with error: AuthZPlugin.AuthZReq: broken"),
        (b"no JSON", "plugin first failed with error: plugin first: AuthZPlugin.AuthZReq: invalid JSON"),
        ({"Allow": "yes"}, "plugin first failed with error: plugin first: AuthZPlugin.AuthZReq: invalid JSON"),
        (b" " * 2_000_000, "plugin first failed with error: plugin first: AuthZPlugin.AuthZReq: the answer is larger"),
    ],
)
def test_sec_what_is_no_clear_yes_is_a_no(guarded: Guarded, answer: Any, message: str) -> None:
    guarded.first.answers[REQUEST] = lambda _: answer
    found = guarded.engine.api("GET", "/version")
    assert found.status in (403, 500)
    told = found.json()
    assert isinstance(told, dict)
    assert told["message"].startswith(message)


def test_a_slow_plugin_holds_up_only_what_it_is_asked_about(guarded: Guarded) -> None:
    def slow(body: dict[str, Any]) -> dict[str, Any]:
        if "/info" in body["RequestUri"]:
            time.sleep(8)
        return ALLOW

    guarded.first.answers[REQUEST] = slow
    clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    try:
        for client in clients:
            client.connect(str(guarded.engine.socket))
            client.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        assert guarded.engine.api("GET", "/version").status == 200
        assert time.monotonic() - began < 5
    finally:
        for client in clients:
            client.close()


def test_the_list_is_read_again_at_sighup(guarded: Guarded, tmp_path: Path) -> None:
    engine, process = guarded.engine, guarded.engine.process
    assert process is not None
    before = guarded.file.read_text()

    def asked(names: list[str]) -> bool:
        return (engine.api("GET", "/info").json()["Plugins"]["Authorization"] or []) == names  # type: ignore[index]

    try:
        guarded.file.write_text(json.dumps({"authorization-plugins": ["second"]}))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: asked(["second"]), "only the second is asked")
        guarded.first.answers[REQUEST] = {"Allow": False}
        assert engine.api("GET", "/version").status == 200
        guarded.file.write_text(json.dumps({"authorization-plugins": ["nobody"]}))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "nobody" in engine.log_tail(), "the daemon says what is wrong")
        assert asked(["second"])
        guarded.file.write_text("{}")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: asked([]), "nobody is asked")
    finally:
        guarded.first.answers[REQUEST] = ALLOW
        guarded.file.write_text(before)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: asked(["first", "second"]), "both are asked again")


def test_a_daemon_does_not_start_unguarded(tmp_path: Path) -> None:
    told = refused_start("--plugin-dir", str(tmp_path), "--authorization-plugin", "nobody")
    assert 'failed to validate authorization plugin nobody: plugin "nobody" not found' in told
    with answering(tmp_path / "liar.sock", lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")):
        told = refused_start("--plugin-dir", str(tmp_path), "--authorization-plugin", "liar")
    assert 'plugin="liar", requested implementation="authz"' in told
