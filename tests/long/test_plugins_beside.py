"""The same plugin under Debian's dockerd and under Sampan: what clients are answered, and what the plugin is asked, side by side.

Where Sampan means to differ stands in docs/plugins.md, and is left out of what is compared.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Daemon, Docker, Sampan
from tests.log_plugins import Collector, Rereading
from tests.network_plugins import IpamPlugin, NetworkPlugin
from tests.plugin_servers import Driver, ServedPlugin, served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "dockerd", "docker-client", "busybox")
REQUEST, RESPONSE = "AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"
PLUG = (
    "mkdir -p /run/docker/plugins /run/docker/logging {0}/logging; ln -s {0}/*.sock /run/docker/plugins/;"
    " mount --bind {0}/logging /run/docker/logging; exec"
)
"""Where dockerd looks for plugins, and a place for its FIFOs that the plugin sees, too."""


class PluggedDocker(Docker):
    """dockerd that finds the sockets of a directory where it looks for plugins."""

    def __init__(self, plugins: Path) -> None:
        super().__init__()
        self._plugins = plugins

    def command(self) -> list[str]:
        return [
            word.replace("exec", PLUG.format(self._plugins), 1) if "lo up" in word else word
            for word in super().command()
        ]


@contextmanager
def started(daemon: Daemon, *flags: str) -> Iterator[Daemon]:
    try:
        daemon.start(*flags)
        daemon.load_busybox()
        yield daemon
    finally:
        daemon.remove()


@contextmanager
def both(directory: Path, plug: Callable[[Path], Any], *flags: str) -> Iterator[list[tuple[Daemon, Any]]]:
    """The two engines, each with a plugin of its own that `plug` serves in a directory."""
    with ExitStack() as stack:
        found: list[tuple[Daemon, Any]] = []
        for name in ("docker", "sampan"):
            place = directory / name
            place.mkdir()
            plugin = stack.enter_context(plug(place))
            if name == "docker":
                found.append((stack.enter_context(started(PluggedDocker(place), *flags)), plugin))
            else:
                found.append((stack.enter_context(started(Sampan(), "--plugin-dir", str(place), *flags)), plugin))
        yield found


def answered(engine: Daemon, method: str, path: str, body: object = None) -> tuple[int, Any]:
    answer = engine.api(method, path, body)
    return answer.status, json.loads(answer.body) if answer.body.strip() else None


def test_volumes(tmp_path: Path) -> None:
    @contextmanager
    def plug(place: Path) -> Iterator[tuple[Driver, ServedPlugin]]:
        driver = Driver(place / "kept")
        with served(place / "kept.sock", "VolumeDriver", driver.answers()) as plugin:
            yield driver, plugin

    def story(engine: Daemon, driver: Driver) -> list[Any]:
        told: list[Any] = []

        def ask(method: str, path: str, body: object = None) -> None:
            told.append((method, path, answered(engine, method, path, body)))

        create = "/volumes/create"
        ask("POST", create, {"Name": "data", "Driver": "kept", "DriverOpts": {"size": "5"}, "Labels": {"a": "b"}})
        ask("GET", "/volumes/data")
        ask("GET", '/volumes?filters={"driver":["kept"]}')
        ask("POST", create, {"Name": "data", "Driver": "kept"})
        ask("POST", create, {"Name": "data"})
        ask("POST", create, {"Name": "full", "Driver": "kept", "DriverOpts": {"fail": "1"}})
        ask("GET", "/volumes/none")
        ask("POST", create, {"Name": "mine"})
        ask("POST", create, {"Name": "mine", "Driver": "kept"})
        ask("DELETE", "/volumes/mine")
        line = ("run", "--network", "none", "--name", "one", "-v", "data:/d:nocopy", "busybox", "sh", "-c")
        told.append(engine.docker(*line, "echo kept >/d/file; cat /d/file").out)
        eventually(driver.idle, "the use has ended")
        ask("DELETE", "/volumes/data")
        assert engine.docker("rm", "one").code == 0
        ask("DELETE", "/volumes/data")
        ask("DELETE", "/volumes/data?force=1")
        return told

    with both(tmp_path, plug) as engines:
        stories = [
            json.loads(
                json.dumps(story(engine, driver), default=bytes.decode)
                .replace(str(driver.directory), "PLACE")
                .replace(engine.docker("ps", "-aq", "--no-trunc").text or "NONE", "ID")
            )
            for engine, (driver, _) in engines
        ]
        calls = [plugin.calls for _, (_, plugin) in engines]
    asked = [[_plain(call) for call in one if call[0] in TELLING] for one in calls]
    for docker, sampan in zip(*stories, strict=True):
        assert _known(sampan) == _known(docker)
    assert asked[1] == asked[0]


TELLING = ("VolumeDriver.Create", "VolumeDriver.Remove", "VolumeDriver.Mount", "VolumeDriver.Unmount")


def _plain(call: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return call[0], {name: value if name != "ID" else len(value) for name, value in call[1].items()}


def _known(told: Any) -> Any:
    """Without what is another's for each engine: times, ids, and places of the driver local."""
    if isinstance(told, dict):
        return {
            name: _known(value)
            for name, value in told.items()
            if not (name in ("CreatedAt", "Mountpoint") and told.get("Driver") == "local")
        }
    if isinstance(told, list):
        return [_known(one) for one in told]
    if isinstance(told, str) and "volume is in use - [" in told:
        return told.partition("[")[0]
    return told


def test_authorization(tmp_path: Path) -> None:
    def plug(place: Path) -> Any:
        return served(place / "judge.sock", "authz", {REQUEST: judge, RESPONSE: judge})

    def judge(body: dict[str, Any]) -> dict[str, Any]:
        uri = body["RequestUri"]
        if "ResponseStatusCode" in body:
            return {"Allow": "/images/json" not in uri, "Msg": "not that"}
        shown = base64.b64decode(body.get("RequestBody", ""))
        return {"Allow": "/networks" not in uri and b"evil" not in shown, "Msg": "not you"}

    def story(engine: Daemon) -> list[Any]:
        told = [
            answered(engine, "GET", "/networks"),
            answered(engine, "POST", "/volumes/create", {"Name": "evil"}),
            answered(engine, "GET", "/volumes/evil"),
            answered(engine, "GET", "/images/json"),
            answered(engine, "GET", "/containers/none/json"),
            answered(engine, "GET", "/info")[1]["Plugins"]["Authorization"],
        ]
        done = engine.docker("run", "--rm", "-i", "--network", "none", "busybox", "cat", stdin=b"through")
        told.append((done.code, done.out.decode()))
        done = engine.docker("network", "ls")
        told.append((done.code, done.err.decode()))
        return told

    with both(tmp_path, plug, "--authorization-plugin", "judge") as engines:
        stories = [story(engine) for engine, _ in engines]
        asked = [
            [
                {name: body.get(name) for name in ("RequestMethod", "RequestUri", "RequestBody", "User")}
                for method, body in plugin.calls
                if method == REQUEST and body["RequestUri"] in ("/networks", "/volumes/create", "/images/json")
            ]
            for _, plugin in engines
        ]
        heads = [plugin.of(REQUEST)[0]["RequestHeaders"] for _, plugin in engines]
    assert stories[1] == stories[0]
    assert asked[1] == asked[0]
    assert heads[1] == heads[0]


def test_logs(tmp_path: Path) -> None:
    @contextmanager
    def plug(place: Path) -> Iterator[Collector]:
        collector = Collector(place / "logging" if place.name == "docker" else None)
        with served(place / "collects.sock", "LogDriver", collector.answers()):
            yield collector

    script = "echo out; sleep 0.2; echo err >&2; sleep 0.2; head -c 20000 /dev/zero | tr '\\0' x; echo; echo end"
    options = ("--log-opt", "a=b", "--label", "l=1", "-e", "E=2", "--name", "one", "--hostname", "h")
    with both(tmp_path, plug) as engines:
        for engine, collector in engines:
            line = ("run", "--network", "none", "--log-driver", "collects", *options, "busybox", "sh", "-c", script)
            assert engine.docker(*line).code == 0
            eventually(lambda collector=collector: len(collector.entries) == 5, "five records")  # type: ignore[misc]
            eventually(lambda collector=collector: collector.stopped, "the end is told")  # type: ignore[misc]
            shown = engine.docker("logs", "one")
            assert (shown.out.startswith(b"out\n"), shown.err) == (True, b"err\n")
        entries = [
            [
                (e.source, e.line, e.partial, e.partial_log_metadata.ordinal, e.partial_log_metadata.last)
                for e in collector.entries
            ]
            for _, collector in engines
        ]
        infos = [collector.infos[0] for _, collector in engines]
    assert entries[1] == entries[0]
    own = ("ContainerID", "ContainerCreated", "ContainerImageID")
    assert {k: v for k, v in infos[1].items() if k not in own} == {k: v for k, v in infos[0].items() if k not in own}


def test_logs_that_are_read_again(tmp_path: Path) -> None:
    @contextmanager
    def plug(place: Path) -> Iterator[Rereading]:
        reader = Rereading(place / "logging" if place.name == "docker" else None)
        with served(place / "rereads.sock", "LogDriver", reader.answers()):
            yield reader

    def story(engine: Daemon, reader: Rereading) -> list[Any]:
        script = "echo out; sleep 0.2; echo err >&2; sleep 0.2; echo end"
        line = ("run", "--network", "none", "--log-driver", "rereads", "--name", "one", "busybox", "sh", "-c", script)
        assert engine.docker(*line).code == 0
        eventually(lambda: len(reader.entries) == 3, "three records")
        for number, one in enumerate(reader.entries):
            one.time_nano = (1_700_000_000 + number) * 10**9
        told = []
        for words in (
            (),
            ("--tail", "1"),
            ("-t",),
            ("-t", "--details"),
            ("--since", "1700000001"),
            ("--until", "1700000001"),
            ("-f",),
        ):
            shown = engine.docker("logs", *words, "one")
            told.append((words, shown.code, shown.out, shown.err))
        return told

    with both(tmp_path, plug) as engines:
        stories = [story(engine, reader) for engine, reader in engines]
        windows = [reader.windows for _, reader in engines]
    assert stories[1] == stories[0]
    assert windows[1] == windows[0]


IDENTIFIERS = re.compile(r"/[a-z0-9/_-]+/netns/[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_ASKED = ("CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint", "DeleteNetwork")
NETWORK_CALLS = (
    *(f"NetworkDriver.{name}" for name in _ASKED),
    *(f"IpamDriver.{name}" for name in ("RequestPool", "RequestAddress", "ReleaseAddress", "ReleasePool")),
)


def _alike(method: str, body: dict[str, Any]) -> str:
    """Without ids, and without what is as good as not there to Go; `enable_ipv4` is told since Docker 28."""
    (body.get("Options") or {}).pop("com.docker.network.enable_ipv4", None)
    return IDENTIFIERS.sub("ID", json.dumps([method, _told(body)], sort_keys=True))


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: found for name, one in value.items() if (found := _told(one)) not in (None, "", {}, [], False)}
    return [_told(one) for one in value] if isinstance(value, list) else value


def test_networks_and_addresses(tmp_path: Path) -> None:
    @contextmanager
    def plug(place: Path) -> Iterator[tuple[NetworkPlugin, ServedPlugin]]:
        network = NetworkPlugin(f"tb{place.name[:6]}")
        answers = {**network.answers(), **IpamPlugin().answers()}
        with served(place / "wires.sock", ["NetworkDriver", "IpamDriver"], answers) as plugin:
            yield network, plugin

    def story(engine: Daemon, network: NetworkPlugin) -> list[Any]:
        if engine.kind == "dockerd":
            assert engine.process is not None
            network.within = ("nsenter", f"--net=/proc/{engine.process.pid}/ns/net")
        told: list[Any] = []

        def ran(*words: str) -> None:
            done = engine.docker(*words)
            told.append((words[:2], done.code, IDENTIFIERS.sub("ID", done.text)))

        options = ("-d", "wires", "--ipam-driver", "wires", "--subnet", "10.213.40.0/24", "-o", "speed=high")
        ran("network", "create", *options, "far")
        ran("run", "-d", "--name", "one", "--network", "far", "busybox", "sleep", "600")
        ran("run", "-d", "--name", "two", "--network", "far", "--ip", "10.213.40.77", "busybox", "sleep", "600")
        ran("exec", "two", "sh", "-c", "ip -4 address show net0 | grep inet")
        ran("inspect", "-f", '{{(index .NetworkSettings.Networks "far").IPAddress}}', "one")
        done = engine.docker("exec", "one", "ping", "-c", "1", "-W", "5", "10.213.40.77")
        told.append(("ping", done.code))
        ran("network", "rm", "far")
        ran("rm", "-f", "one")
        ran("rm", "-f", "two")
        ran("network", "rm", "far")
        ran("network", "create", "-d", "wires", "--ipam-driver", "nobody", "far")
        return told

    with both(tmp_path, plug) as engines:
        stories = [story(engine, network) for engine, (network, _) in engines]
        asked = [
            [_alike(method, body) for method, body in plugin.calls if method in NETWORK_CALLS]
            for _, (_, plugin) in engines
        ]
    assert stories[1] == stories[0]
    # Docker gives pool and gateway back before the network is gone, Sampan behind it.
    assert sorted(asked[1]) == sorted(asked[0])
    orders = [[call for call in one if "DeleteNetwork" not in call] for one in asked]
    assert orders[1] == orders[0]


@pytest.mark.parametrize("kind", ["VolumeDriver", "LogDriver"])
def test_a_plugin_of_another_kind(tmp_path: Path, kind: str) -> None:
    def plug(place: Path) -> Any:
        return served(place / "other.sock", "IpamDriver", {})

    with both(tmp_path, plug) as engines:
        told = [
            answered(engine, "POST", "/volumes/create", {"Name": "v", "Driver": "other"})
            if kind == "VolumeDriver"
            else answered(
                engine,
                "POST",
                "/containers/create",
                {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "other"}}},
            )
            for engine, _ in engines
        ]
    # Newer versions of Docker, and Sampan, also say which plugin, and what was asked of it.
    (told_docker, message), (told_sampan, longer) = told
    assert told_sampan == told_docker
    assert longer["message"].startswith(message["message"])
