"""Managed plugins from their making to their removal, through deaths of the daemon and of the plugin, and hostile ones."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sampan.crashpoints import VARIABLE
from tests import leaks, managed
from tests.daemons import Answer, Sampan, UnixConnection, running_sampan
from tests.registries import Registry, running_registry
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns")


@pytest.fixture(scope="module")
def sampan() -> Iterator[Sampan]:
    with running_sampan("--bridge", "none") as started:
        yield started


@pytest.fixture(autouse=True)
def _no_plugins(sampan: Sampan) -> Iterator[None]:
    yield
    for one in plugins(sampan):
        assert sampan.api("DELETE", f"/plugins/{one['Id']}?force=1").status == 200


def left(*marks: str) -> list[str]:
    """What is on the host of a plugin; processes that have ended are nobody's for a moment."""
    return leaks.settled(lambda: leaks.marked(*marks), leaks.Snapshot(frozenset()))


def plugins(engine: Sampan, query: str = "") -> list[dict[str, Any]]:
    answer = engine.api("GET", f"/plugins{query}")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = json.loads(answer.body)
    return found


def made(engine: Sampan, name: str, program: str = managed.PROGRAM, **more: Any) -> dict[str, Any]:
    answer = engine.api("POST", f"/plugins/create?name={name}", managed.archive(managed.config(**more), program))
    assert answer.status == 204, answer
    return inspected(engine, name)


def inspected(engine: Sampan, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.api("GET", f"/plugins/{name}/json").body)
    return found


def enable(engine: Sampan, name: str) -> Answer:
    return engine.api("POST", f"/plugins/{name}/enable?timeout=0")


def place(engine: Sampan, plugin: dict[str, Any]) -> Path:
    return engine.exec_root / "managed" / str(plugin["Id"])[:12] / "sockets" / "plugin.sock"


def asked(path: Path, method: str) -> bytes:
    """A call of the plugin's by hand."""
    with closing(UnixConnection(path, 10)) as connection:
        connection.request("POST", method, "{}")
        return connection.getresponse().read()


def process(engine: Sampan, plugin: dict[str, Any]) -> int:
    return managed.process(engine.exec_root, plugin["Id"])


def answers(engine: Sampan, plugin: dict[str, Any]) -> bool:
    try:
        return b"VolumeDriver" in asked(place(engine, plugin), "/Plugin.Activate")
    except OSError:
        return False


def refused(answer: Answer, status: int, words: str) -> None:
    assert (answer.status, words in json.loads(answer.body)["message"]) == (status, True), answer


def test_a_life(sampan: Sampan) -> None:
    plugin = made(sampan, "life", propagatedMount="/mnt")
    assert (plugin["Name"], plugin["Enabled"]) == ("life:latest", False)
    assert enable(sampan, "life").status == 200
    try:
        assert inspected(sampan, plugin["Id"][:10])["Enabled"] is True
        assert answers(sampan, plugin)
        refused(enable(sampan, "life"), 409, "plugin already enabled: plugin life:latest is enabled")
        refused(sampan.api("DELETE", "/plugins/life"), 409, "plugin life:latest is enabled")
        refused(sampan.api("POST", "/plugins/life/set", ["DEBUG=1"]), 500, "disable plugin before setting")
    finally:
        assert sampan.api("POST", "/plugins/life/disable").status == 200
    refused(sampan.api("POST", "/plugins/life/disable"), 409, "plugin is already disabled")
    assert left(f"sampan-{sampan.instance}-plugin", plugin["Id"]) == []
    assert sampan.api("POST", "/plugins/life/set", ["DEBUG=1", "args=a b"]).status == 204
    assert inspected(sampan, "life")["Settings"]["Env"] == ["DEBUG=1", "FIXED=1"]
    assert enable(sampan, "life").status == 200
    eventually(lambda: "started 1 ['a', 'b']" in sampan.log.read_text())
    assert sampan.api("DELETE", "/plugins/life?force=1").status == 200
    refused(sampan.api("GET", "/plugins/life/json"), 404, 'plugin "life" not found')
    told = sampan.api("GET", f"/events?since=0&until={time.time():.6f}&filters=%7B%22type%22%3A%5B%22plugin%22%5D%7D")
    actions = [json.loads(line)["Action"] for line in told.body.splitlines()]
    assert actions[-5:] == ["create", "enable", "disable", "enable", "remove"]


def test_it_outlives_the_daemon_and_is_started_again_when_it_dies(sampan: Sampan) -> None:
    plugin = made(sampan, "lasting")
    assert enable(sampan, "lasting").status == 200
    before = process(sampan, plugin)
    sampan.kill()
    assert answers(sampan, plugin)
    sampan.start("--bridge", "none")
    assert process(sampan, plugin) == before
    assert inspected(sampan, "lasting")["Enabled"] is True
    os.kill(before, 9)
    eventually(lambda: answers(sampan, plugin), seconds=30)
    assert process(sampan, plugin) != before
    sampan.kill()
    os.kill(process(sampan, plugin), 9)
    sampan.start("--bridge", "none")
    assert answers(sampan, plugin)
    sampan.stop()
    sampan.start("--bridge", "none")
    assert answers(sampan, plugin)
    assert sampan.api("DELETE", "/plugins/lasting?force=1").status == 200


MOUNTING = managed.PROGRAM.replace(
    "        data = json.dumps(answer).encode()",
    """
        place = "/mnt/" + (json.loads(asked or b"{}") or {}).get("Name", "")
        if self.path == "/VolumeDriver.Mount":
            os.makedirs(place, exist_ok=True)
            os.system("mount -t tmpfs -o size=1m,mode=700 x " + place)
        if self.path == "/VolumeDriver.Unmount":
            os.system("umount " + place)
        if self.path in ("/VolumeDriver.Mount", "/VolumeDriver.Path"):
            answer = {"Mountpoint": place, "Err": ""}
        if self.path == "/VolumeDriver.Get":
            answer = {"Volume": {"Name": place[5:], "Mountpoint": place}, "Err": ""}
        data = json.dumps(answer).encode()""",
)


@requires("busybox")
def test_a_volume_of_one(sampan: Sampan) -> None:
    sampan.load_busybox()
    plugin = made(sampan, "mounting", MOUNTING, propagatedMount="/mnt")
    assert enable(sampan, "mounting").status == 200
    assert sampan.api("POST", "/volumes/create", {"Name": "theirs", "Driver": "mounting"}).status == 201
    body = {
        "Image": "busybox",
        "Cmd": ["sh", "-c", "grep ' /v ' /proc/mounts && echo kept > /v/file && sleep 1000"],
        "HostConfig": {"Binds": ["theirs:/v"], "NetworkMode": "none"},
    }
    assert sampan.api("POST", "/containers/create?name=user", body).status == 201
    started = sampan.api("POST", "/containers/user/start")
    assert started.status == 204, started
    eventually(lambda: sampan.inside("user", "cat", "/v/file").text == "kept")
    assert sampan.inside("user", "stat", "-f", "-c", "%T", "/v").text == "tmpfs"
    refused(sampan.api("POST", "/plugins/mounting/disable"), 409, "plugin mounting:latest is in use")
    os.kill(process(sampan, plugin), 9)
    eventually(lambda: answers(sampan, plugin), seconds=30)
    assert sampan.inside("user", "cat", "/v/file").text == "kept"
    sampan.remove_containers()
    assert sampan.api("DELETE", "/volumes/theirs").status == 204
    assert sampan.api("POST", "/plugins/mounting/disable").status == 200
    assert left(plugin["Id"]) == []


def test_lists(sampan: Sampan) -> None:
    made(sampan, "listed/one")
    assert [one["Name"] for one in plugins(sampan)] == ["listed/one:latest"]
    for filters, count in (
        ('{"enabled":["true"]}', 0),
        ('{"enable":["false"]}', 1),
        ('{"capability":["volumedriver"]}', 1),
        ('{"capability":["networkdriver"]}', 0),
    ):
        assert len(plugins(sampan, f"?filters={filters}")) == count, filters
    refused(sampan.api("GET", '/plugins?filters={"nothing":["x"]}'), 400, "invalid filter 'nothing'")
    refused(sampan.api("POST", "/plugins/listed/one/enable"), 400, "strconv.Atoi")
    again = sampan.api("POST", "/plugins/create?name=listed/one", managed.archive(managed.config()))
    refused(again, 409, "plugin listed/one:latest already exists")
    assert sampan.api("DELETE", "/plugins/listed/one").status == 200


def test_what_does_not_come_up_is_not_enabled(sampan: Sampan) -> None:
    plugin = made(sampan, "ends", "import sys; sys.exit(3)")
    refused(enable(sampan, "ends"), 500, "ended before it listened")
    assert inspected(sampan, "ends")["Enabled"] is False
    assert left(f"sampan-{sampan.instance}-plugin", plugin["Id"]) == []
    assert sampan.api("DELETE", "/plugins/ends").status == 200


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"no tar at all" * 100, 400, "tar"),
        (managed.archive(b"not json"), 400, "config"),
        (managed.archive({"entrypoint": ["/x"], "interface": {"socket": "../x"}}), 400, "socket"),
        (b"", 400, "rootfs"),
    ],
)
def test_archives_that_are_no_plugins(sampan: Sampan, body: bytes, status: int, words: str) -> None:
    refused(sampan.api("POST", "/plugins/create?name=bad", body), status, words)
    assert plugins(sampan) == []
    directories = [path.name for path in (sampan.data_root / "plugins").iterdir()]
    assert not [name for name in directories if name.startswith("new-") or len(name) == 64]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@requires("docker-registry")
def test_through_a_registry(sampan: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/team/plugin:v1"
    made(sampan, name)
    assert b"Upload complete" in sampan.api("POST", f"/plugins/{name}/push").body
    assert sampan.api("DELETE", f"/plugins/{name}").status == 200
    rights = json.loads(sampan.api("GET", f"/plugins/privileges?remote={name}").body)
    assert [one["Name"] for one in rights] == ["network", *["mount"] * 4, "capabilities"]
    granted: list[object]
    for granted in ([], rights[1:]):
        refusal = sampan.api("POST", f"/plugins/pull?remote={name}&name=mine", granted).body.splitlines()[-1]
        assert json.loads(refusal)["error"] == "incorrect privileges"
    assert plugins(sampan) == []
    pulled = sampan.api("POST", f"/plugins/pull?remote={name}&name=mine", rights)
    assert (pulled.status, pulled.headers["docker-plugin-name"]) == (200, "mine:latest")
    assert b'"error"' not in pulled.body, pulled
    assert inspected(sampan, "mine")["PluginReference"] == name
    assert sampan.api("POST", "/plugins/mine/set", ["DEBUG=5"]).status == 204
    upgraded = sampan.api("POST", f"/plugins/mine/upgrade?remote={name}", rights)
    assert b'"error"' not in upgraded.body, upgraded
    assert inspected(sampan, "mine")["Settings"]["Env"][0] == "DEBUG=5"
    assert enable(sampan, "mine").status == 200
    refused(
        sampan.api("POST", f"/plugins/mine/upgrade?remote={name}", rights), 409, "must be disabled before upgrading"
    )
    image = sampan.api("POST", f"/images/create?fromImage={registry.address}/team/plugin&tag=v1")
    assert "Encountered remote" in json.loads(image.body.splitlines()[-1])["error"]
    assert sampan.api("DELETE", "/plugins/mine?force=1").status == 200
    eventually(lambda: not list((sampan.data_root / "plugins/content/blobs/sha256").iterdir()))


@pytest.mark.parametrize("point", ["plugin-before-commit", "plugin-enabled-before-commit", "plugin-after-removal"])
def test_crash_points(sampan: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if point != "plugin-before-commit":
        made(sampan, "crashing")
    sampan.stop()
    plain = sampan.command()
    with monkeypatch.context() as patch:
        patch.setattr(sampan, "command", lambda: ["env", f"{VARIABLE}={point}", *plain])
        sampan.start("--bridge", "none")
    with pytest.raises((OSError, http.client.HTTPException)):
        if point == "plugin-before-commit":
            sampan.api("POST", "/plugins/create?name=crashing", managed.archive(managed.config()))
        elif point == "plugin-enabled-before-commit":
            enable(sampan, "crashing")
        else:
            sampan.api("DELETE", "/plugins/crashing")
    assert sampan.process is not None
    assert sampan.process.wait(15) == -9
    sampan.process = None
    sampan.start("--bridge", "none")
    assert [one["Enabled"] for one in plugins(sampan)] == ([False] if "enabled" in point else [])
    found = [path for path in (sampan.data_root / "plugins").iterdir() if len(path.name) == 64]
    assert len(found) == ("enabled" in point)
    assert left(f"sampan-{sampan.instance}-plugin") == []
    if "enabled" in point:
        assert sampan.api("DELETE", "/plugins/crashing").status == 200
