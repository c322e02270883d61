"""Events on the real kernel: what is told, to whom, in which order, and what a death of the daemon leaves of it."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import docker
import pytest

from tests.api.scenes import FOREVER, Box
from tests.archives import busybox_rootfs
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox")

Event = dict[str, Any]


def past(engine: Sampan, since: float = 1, **filters: list[str]) -> list[Event]:
    """All that was told since then."""
    query = f"since={since:.9f}&until={time.time():.9f}&filters={quote(json.dumps(filters))}"
    answer = engine.api("GET", f"/events?{query}")
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def actions(told: list[Event]) -> list[str]:
    return [f"{one['Type']} {one['Action']}" for one in told]


@contextmanager
def following(engine: Sampan, query: str = "") -> Iterator[http.client.HTTPResponse]:
    """An open stream of events."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(engine.socket))
        sock.sendall(f"GET /events{query} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.status == 200
        yield response


def next_event(stream: http.client.HTTPResponse) -> Event:
    found = json.loads(stream.readline())
    assert isinstance(found, dict)
    return found


def test_the_life_of_a_container_is_told_in_dockers_order(engine: Sampan) -> None:
    began = time.time()
    host = {"Binds": ["told-volume:/v:ro"]}
    box = Box(engine, *FOREVER, name="told", host=host, Labels={"k": "v"}).start()
    assert engine.api("POST", f"/containers/{box.id}/rename?name=renamed").status == 204
    assert engine.api("POST", f"/containers/{box.id}/stop?t=0").status == 204
    box.remove()
    assert engine.api("DELETE", "/volumes/told-volume").status == 204
    told = past(engine, began)
    assert actions(told) == [
        "volume create",
        "container create",
        "network connect",
        "volume mount",
        "container start",
        "container rename",
        "container kill",
        "container kill",
        "container die",
        "network disconnect",
        "volume unmount",
        "container stop",
        "container destroy",
        "volume destroy",
    ]
    attributes = [one["Actor"]["Attributes"] for one in told]
    common = {"image": "busybox", "k": "v"}
    assert attributes[1] == {**common, "name": "told"}
    assert {k: v for k, v in attributes[2].items() if k != "container"} == {"name": "bridge", "type": "bridge"}
    assert attributes[3] == {
        "container": box.id,
        "destination": "/v",
        "driver": "local",
        "propagation": "",
        "read/write": "false",
    }
    assert attributes[5] == {**common, "name": "renamed", "oldName": "/told"}
    assert [attributes[place]["signal"] for place in (6, 7)] == ["15", "9"]
    assert {"exitCode", "execDuration"} <= attributes[8].keys()
    assert attributes[10] == {"container": box.id, "driver": "local"}
    assert [one["timeNano"] for one in told] == sorted({one["timeNano"] for one in told}), "no two at the same time"
    assert all((one["scope"], one["time"]) == ("local", one["timeNano"] // 10**9) for one in told)
    created = told[1]
    assert (created["status"], created["id"], created["from"]) == ("create", box.id, "busybox")


def test_detaching_is_told(engine: Sampan) -> None:
    box = Box(engine, "cat", Tty=True, OpenStdin=True).start()
    stream = box.attach()
    stream.say(b"\x10\x11")
    stream.expect_end()
    client = docker.DockerClient(base_url=engine.host)
    exec_id = client.api.exec_create(box.id, ["cat"], stdin=True, tty=True)["Id"]
    other = client.api.exec_start(exec_id, tty=True, socket=True)
    other._sock.sendall(b"\x10\x11")
    eventually(lambda: past(engine, container=[box.id], event=["exec_detach"]), "not told")
    told = past(engine, container=[box.id], event=["attach", "detach", "exec_detach"])
    assert actions(told) == ["container attach", "container detach", "container exec_detach"]
    assert told[2]["Actor"]["Attributes"]["execID"] == exec_id
    other._sock.close()
    other.close()
    client.close()
    box.remove()


@requires("docker-client")
def test_images_are_told_of_with_their_labels(engine: Sampan) -> None:
    began = time.time()
    made = engine.docker("import", "--change", "LABEL a=b", "-", "told:1", stdin=busybox_rootfs())
    assert made.code == 0, made
    for words in (("tag", "told:1", "told:2"), ("rmi", "told:2"), ("rmi", "told:1")):
        assert engine.docker(*words).code == 0
    told = past(engine, began, type=["image"])
    assert [one["Action"] for one in told] == ["tag", "import", "tag", "untag", "untag", "delete"]
    attributes = [one["Actor"]["Attributes"] for one in told]
    image = made.text
    named = [{"a": "b", "name": name} for name in ("told:1", image, "told:2", image, image)]
    assert attributes == [*named, {"name": image}], "what is gone has no labels to tell"


def test_a_stream_begins_with_the_past_and_goes_on(engine: Sampan) -> None:
    began = time.time()
    first = Box(engine, "true")
    query = f"?since={began:.9f}&filters={quote(json.dumps({'type': ['container'], 'event': ['create']}))}"
    with following(engine, query) as stream:
        assert next_event(stream)["id"] == first.id
        second = Box(engine, "true")
        assert next_event(stream)["id"] == second.id
    for box in (first, second):
        box.remove()


def test_until_ends_a_stream(engine: Sampan) -> None:
    with following(engine, f"?until={time.time() + 1:.9f}") as stream:
        while stream.readline():
            pass
    refused = engine.api("GET", "/events?since=20&until=10")
    assert refused.status == 400
    assert refused.json() == {"message": "`since` time (20) cannot be after `until` time (10)"}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"type": ["volume"], "volume": ["other-v"]}, ["volume create", "volume destroy"]),
        ({"container": ["filtered"], "event": ["create", "destroy"]}, ["container create", "container destroy"]),
        ({"label": ["its=own"], "event": ["start"]}, ["container start"]),
        ({"label": ["its=other"]}, []),
        ({"image": ["busybox"], "label": ["its"], "event": ["die"]}, ["container die"]),
        ({"network": ["bridge"], "event": ["connect"]}, ["network connect"]),
        ({"scope": ["local"], "type": ["network"]}, ["network connect", "network disconnect"]),
        ({"scope": ["swarm"]}, []),
        *(({key: ["nosuch"]}, []) for key in ("config", "daemon", "node", "plugin", "secret", "service")),
    ],
)
def test_filters(engine: Sampan, filters: dict[str, list[str]], wanted: list[str]) -> None:
    began = time.time()
    assert engine.api("POST", "/volumes/create", {"Name": "other-v"}).status == 201
    assert engine.api("DELETE", "/volumes/other-v").status == 204
    box = Box(engine, "true", name="filtered", Labels={"its": "own"}).start()
    box.ended(0)
    box.remove()
    assert actions(past(engine, began, **filters)) == wanted


def test_a_daemon_that_was_killed_leaves_its_events(engine: Sampan) -> None:
    began = time.time()
    boxes = [Box(engine, "true") for _ in range(5)]
    names = {box.id for box in boxes}
    # What was told is on its way to the file, in moments.
    eventually(lambda: names <= kept(engine), "not written")
    engine.kill()
    engine.start()
    assert {one["id"] for one in past(engine, began, type=["container"])} == names
    for box in boxes:
        box.remove()


def kept(engine: Sampan) -> set[str]:
    """Ids of containers whose creation stands in the file."""
    lines = (engine.data_root / "events.jsonl").read_bytes().splitlines(keepends=True)
    told = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {one["id"] for one in told if one["Action"] == "create" and one["Type"] == "container"}


def test_old_events_are_read_from_the_disk(engine: Sampan) -> None:
    began = time.time()
    for number in range(300):
        assert engine.api("POST", "/volumes/create", {"Name": f"many-{number}"}).status == 201
    told = past(engine, began, type=["volume"], event=["create"])
    assert [one["Actor"]["ID"] for one in told] == [f"many-{number}" for number in range(300)]
    for number in range(300):
        engine.api("DELETE", f"/volumes/many-{number}")


def test_who_does_not_read_is_let_go_and_nobody_waits_for_him(engine: Sampan) -> None:
    box = Box(engine, *FOREVER).start()
    with following(engine) as stream:
        for _ in range(6000):
            assert engine.api("POST", f"/containers/{box.id}/kill?signal=WINCH").status == 204
        told = 0
        while stream.readline():
            told += 1
    assert 0 < told < 6000, "its stream ends before all was told"
    box.remove()


@requires("docker-client:28")
def test_both_commands_show_the_same(engine: Sampan) -> None:
    began = f"{time.time():.9f}"
    box = Box(engine, "true", name="shown", Labels={"a": "b"}).start()
    box.ended(0)
    box.remove()
    words = ["events", "--since", began, "--until", f"{time.time():.9f}", "--filter", "type=container"]
    theirs, ours = engine.docker(*words), engine.sampan(*words)
    assert theirs.text.count("\n") == 3, theirs
    assert (ours.code, ours.out) == (theirs.code, theirs.out)
    for form in ("json", "{{.Type}} {{.Action}} {{.Actor.ID}} {{.TimeNano}} {{.Actor.Attributes.name}} {{.Status}}"):
        theirs, ours = engine.docker(*words, "--format", form), engine.sampan(*words, "--format", form)
        assert (ours.code, ours.out) == (theirs.code, theirs.out)
    until = words[4]
    for form in ("10m", "2020-01-01T00:00:00Z", "2020-01-01", "1577836800"):
        counted = [
            getattr(engine, command)(
                "events", "--since", form, "--until", until, "--filter", "container=shown"
            ).out.count(b"\n")
            for command in ("docker", "sampan")
        ]
        assert counted == [4, 4], form


def test_docker_py_follows(engine: Sampan) -> None:
    client = docker.DockerClient(base_url=engine.host)
    stream = client.events(decode=True, filters={"event": "create", "type": "container"})
    box = Box(engine, "true", name="followed")
    told = next(iter(stream))
    assert (told["Action"], told["Actor"]["ID"], told["Actor"]["Attributes"]["name"]) == ("create", box.id, "followed")
    stream.close()
    client.close()
    box.remove()
