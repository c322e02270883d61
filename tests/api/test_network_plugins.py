"""Networks whose links and addresses come from plugins: a whole life, deaths of the daemon, and plugins that lie."""

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sampan.crashpoints import VARIABLE
from tests import leaks
from tests.daemons import Answer, Sampan, running_sampan
from tests.network_plugins import IpamPlugin, NetworkPlugin, ip
from tests.plugin_servers import ServedPlugin, served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

SUBNET = "10.213.41.0/24"
BRIDGE = "tpbridge"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugins")


@pytest.fixture(scope="module")
def sampan(places: Path) -> Iterator[Sampan]:
    with running_sampan("--plugin-dir", str(places)) as started:
        started.load_busybox()
        yield started


@pytest.fixture
def net(sampan: Sampan, places: Path) -> Iterator[tuple[NetworkPlugin, ServedPlugin]]:
    plugin = NetworkPlugin(BRIDGE)
    with served(places / "net.sock", "NetworkDriver", plugin.answers()) as calls:
        try:
            yield plugin, calls
        finally:
            clear(sampan)
    ip("link", "delete", BRIDGE)


@pytest.fixture
def ipam(sampan: Sampan, places: Path) -> Iterator[tuple[IpamPlugin, ServedPlugin]]:
    plugin = IpamPlugin()
    with served(places / "addr.sock", "IpamDriver", plugin.answers()) as calls:
        try:
            yield plugin, calls
        finally:
            clear(sampan)


def clear(engine: Sampan) -> None:
    """As long as the plugins are there to be told."""
    if engine.process is not None:
        engine.remove_containers()
        engine.api("POST", "/networks/prune")


def create(engine: Sampan, name: str = "far", **more: Any) -> Answer:
    pools = {"Config": [{"Subnet": SUBNET}]}
    return engine.api("POST", "/networks/create", {"Name": name, "Driver": "net", "IPAM": pools, **more})


def run(engine: Sampan, name: str, *command: str, network: str = "far") -> Answer:
    body = {"Image": "busybox", "Cmd": [*command], "HostConfig": {"NetworkMode": network}}
    assert engine.api("POST", f"/containers/create?name={name}", body).status == 201
    return engine.api("POST", f"/containers/{name}/start")


def refused(answer: Answer, status: int, words: str) -> None:
    assert (answer.status, words in json.loads(answer.body)["message"]) == (status, True), answer


def settings(engine: Sampan, name: str, network: str = "far") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.api("GET", f"/containers/{name}/json").body)
    place: dict[str, Any] = found["NetworkSettings"]["Networks"][network]
    return place


def claims(engine: Sampan) -> int:
    """How many claims are in the state of a daemon."""
    import sqlite3

    with sqlite3.connect(engine.data_root / "sampan.db") as database:
        return int(database.execute("SELECT count(*) FROM entry WHERE tbl = 'remote-claims'").fetchone()[0])


def test_a_life(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]) -> None:
    plugin, calls = net
    made = create(sampan, Options={"speed": "high"}, Internal=False)
    assert made.status == 201, made
    identifier = json.loads(made.body)["Id"]
    asked = calls.of("NetworkDriver.CreateNetwork")[0]
    assert asked["NetworkID"] == identifier
    assert asked["Options"]["com.docker.network.generic"] == {"speed": "high"}
    assert asked["IPv4Data"][0]["Pool"] == SUBNET
    shown = json.loads(sampan.api("GET", "/networks/far").body)
    assert (shown["Driver"], shown["Scope"], shown["IPAM"]["Driver"]) == ("net", "local", "default")

    for name in ("one", "two"):
        assert run(sampan, name, "sleep", "1000").status == 204
    inside = sampan.inside("one", "ip", "-o", "address", "show", "net0").text
    assert f"{settings(sampan, 'one')['IPAddress']}/24" in inside
    routes = sampan.inside("one", "ip", "route").text
    assert f"default via {plugin.gateway}" in routes
    assert "10.99.0.0/16 dev net0" in routes
    address = settings(sampan, "two")["IPAddress"]
    assert sampan.inside("one", "ping", "-c", "1", "-W", "2", address).code == 0
    # Names are the engine's affair.
    assert address in sampan.inside("one", "nslookup", "two").text

    refused(sampan.api("DELETE", "/networks/far"), 403, "has active endpoints")
    sampan.remove_containers()
    eventually(lambda: len(calls.of("NetworkDriver.DeleteEndpoint")) == 2)
    last = calls.calls[-1][1]["EndpointID"]  # the ends of two containers come in between each other
    assert [method for method, body in calls.calls if body.get("EndpointID") == last][-3:] == [
        f"NetworkDriver.{name}" for name in ("RevokeExternalConnectivity", "Leave", "DeleteEndpoint")
    ]
    assert sampan.api("DELETE", "/networks/far").status == 204
    assert calls.of("NetworkDriver.DeleteNetwork") == [{"NetworkID": identifier}]
    assert leaks.marked(BRIDGE).things == frozenset()


def test_a_running_container_comes_and_goes(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]) -> None:
    _, calls = net
    assert create(sampan).status == 201
    assert run(sampan, "mover", "sleep", "1000", network="none").status == 204
    refused(sampan.api("POST", "/networks/far/connect", {"Container": "mover"}), 400, "none")
    sampan.remove_containers()
    assert run(sampan, "mover", "sleep", "1000", network="bridge").status == 204
    for _ in range(2):
        assert sampan.api("POST", "/networks/far/connect", {"Container": "mover"}).status == 200
        assert "net0" in sampan.inside("mover", "ip", "link").text
        assert sampan.api("POST", "/networks/far/disconnect", {"Container": "mover"}).status == 200
        assert "net0" not in sampan.inside("mover", "ip", "link").text
    eventually(lambda: len(calls.of("NetworkDriver.DeleteEndpoint")) == 2)
    assert sampan.inside("mover", "ip", "route").text.startswith("default via")


def test_a_driver_that_is_not_there(sampan: Sampan) -> None:
    refused(create(sampan, Driver="nobody"), 404, 'plugin "nobody" not found')
    pools = {"Driver": "nobody", "Config": []}
    refused(create(sampan, Driver="bridge", IPAM=pools), 404, 'plugin "nobody" not found')


LIES: list[tuple[dict[str, Any], str]] = [
    ({"InterfaceName": {"SrcName": "lo", "DstPrefix": "net"}}, "loopback"),
    ({"InterfaceName": {"SrcName": "no-such-link", "DstPrefix": "net"}}, "not on the host"),
    ({"InterfaceName": {"SrcName": "../../x", "DstPrefix": "net"}}, "no name of one"),
    ({"InterfaceName": {"SrcName": BRIDGE, "DstPrefix": "net"}}, "is a bridge"),
    ({"InterfaceName": None}, "no name of one"),
    ({"Gateway": "not an address"}, "no address"),
    ({"Gateway": "fd00::1"}, "other family"),
    ({"StaticRoutes": [{"Destination": "x", "RouteType": 1}]}, "no network"),
    ({"StaticRoutes": [{"Destination": "10.0.0.0/8", "RouteType": 0, "NextHop": "fd00::1"}]}, "other family"),
    ({"StaticRoutes": [{"Destination": "10.98.0.0/16", "RouteType": 1}] * 300}, "more than"),
    ({"InterfaceName": {"SrcName": "tpused", "DstPrefix": "net"}}, "routes or addresses of the host"),
    ({"Err": "not today"}, "not today"),
    ({"Gateway": "x" * (2 << 20)}, "larger than"),
]


def test_answers_that_cannot_be(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]) -> None:
    plugin, calls = net
    ip("link", "add", "tpused", "type", "veth", "peer", "name", "tpusedp")
    ip("address", "add", "10.213.99.1/24", "dev", "tpused")
    ip("link", "set", "tpused", "up")
    try:
        assert create(sampan).status == 201
        plugin.joined = LIES[0][0]
        refused(run(sampan, "liar", "sleep", "1000"), 500, LIES[0][1])
        for plugin.joined, words in LIES:
            refused(sampan.api("POST", "/containers/liar/start"), 500, words)
            assert calls.names()[-1] == "NetworkDriver.DeleteEndpoint", words
        plugin.joined = {}
        assert sampan.api("POST", "/containers/liar/start").status == 204
        # The address of the places that were not taken is the next to be given.
        assert settings(sampan, "liar")["IPAddress"].endswith(".2")
    finally:
        ip("link", "delete", "tpused")


def test_a_link_that_has_the_containers_address_already(
    sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]
) -> None:
    plugin, _ = net
    assert create(sampan).status == 201
    plugin.inside = "10.213.41.9/24"
    refused(run(sampan, "set", "sleep", "1000"), 500, "routes or addresses of the host")
    plugin.inside = "10.213.41.2/24"
    assert sampan.api("POST", "/containers/set/start").status == 204
    assert "10.213.41.2/24" in sampan.inside("set", "ip", "-o", "address", "show", "net0").text


def test_it_changes_what_was_asked_for(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]) -> None:
    plugin, _ = net
    assert create(sampan).status == 201
    plugin.created = {"Interface": {"Address": "10.213.41.77/24"}}
    refused(run(sampan, "changed", "true"), 500, "changed 10.213.41.2/24 to 10.213.41.77/24")


def test_a_refused_network_is_not_there(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin]) -> None:
    _, calls = net
    calls.answers["NetworkDriver.CreateNetwork"] = {"Err": "no room"}
    refused(create(sampan), 500, "no room")
    assert sampan.api("GET", "/networks/far").status == 404
    calls.answers["NetworkDriver.CreateNetwork"] = {}
    assert create(sampan).status == 201
    calls.answers["NetworkDriver.DeleteNetwork"] = {"Err": "never"}
    refused(sampan.api("DELETE", "/networks/far"), 500, "never")
    assert sampan.api("GET", "/networks/far").status == 200
    calls.answers["NetworkDriver.DeleteNetwork"] = {}
    assert sampan.api("DELETE", "/networks/far").status == 204


def test_addresses_of_a_plugin_on_a_bridge_of_ours(sampan: Sampan, ipam: tuple[IpamPlugin, ServedPlugin]) -> None:
    plugin, calls = ipam
    made = create(sampan, Driver="bridge", IPAM={"Driver": "addr", "Options": {"a": "b"}, "Config": []})
    assert made.status == 201, made
    asked = calls.of("IpamDriver.RequestPool")[0]
    assert (asked["AddressSpace"], asked["Options"], asked["V6"]) == ("here", {"a": "b"}, False)
    assert calls.of("IpamDriver.RequestAddress")[0]["Options"]["RequestAddressType"] == "com.docker.network.gateway"
    shown = json.loads(sampan.api("GET", "/networks/far").body)["IPAM"]
    assert (shown["Driver"], shown["Config"][0]["Subnet"]) == ("addr", plugin.pool)
    assert run(sampan, "one", "sleep", "1000").status == 204
    assert settings(sampan, "one")["IPAddress"] == "10.213.40.3"
    plugin.answer = "10.213.40.3/24"
    refused(run(sampan, "twice", "true"), 403, "Address already in use")
    plugin.answer = "192.0.2.1/24"
    refused(run(sampan, "outside", "true"), 500, "which is not in 10.213.40.0/24")
    plugin.answer = ""
    sampan.remove_containers()
    eventually(lambda: len(calls.of("IpamDriver.ReleaseAddress")) == 3)
    assert sampan.api("DELETE", "/networks/far").status == 204
    assert {one["Address"] for one in calls.of("IpamDriver.ReleaseAddress")} == {
        *("10.213.40.2", "10.213.40.3", "192.0.2.1")
    }
    assert calls.of("IpamDriver.ReleasePool") == [{"PoolID": "the-pool"}]


@pytest.mark.parametrize("pool", ["no pool", "fd00::/64", "127.0.0.0/8", SUBNET])
def test_pools_that_cannot_be(sampan: Sampan, ipam: tuple[IpamPlugin, ServedPlugin], pool: str) -> None:
    plugin, calls = ipam
    own = {"Config": [{"Subnet": SUBNET}]}
    assert create(sampan, name="near", Driver="bridge", IPAM=own).status == 201
    plugin.pool = pool
    answer = create(sampan, Driver="bridge", IPAM={"Driver": "addr", "Config": []})
    assert answer.status in (400, 403, 500), answer
    assert calls.of("IpamDriver.ReleasePool") == [{"PoolID": "the-pool"}]


def until_last(calls: ServedPlugin, method: str) -> None:
    eventually(lambda: calls.names()[-1] == method)


def armed(engine: Sampan, point: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.stop()
    plain = engine.command()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "command", lambda: ["env", f"{VARIABLE}={point}", *plain])
        engine.start("--plugin-dir", str(places))


def test_a_daemon_that_dies_in_between_gives_back_what_it_took(
    sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin], places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, calls = net
    deeds: list[tuple[str, Callable[[], Answer]]] = [
        ("network-before-commit", lambda: create(sampan)),
        ("remote-before-endpoint", lambda: run(sampan, "half", "true")),
        ("network-after-removal", lambda: sampan.api("DELETE", "/networks/far")),
    ]
    for point, begin in deeds:
        armed(sampan, point, places, monkeypatch)
        with pytest.raises((OSError, http.client.HTTPException)):
            begin()
        assert sampan.process is not None
        assert sampan.process.wait(15) == -9
        sampan.process = None
        assert claims(sampan) == 1
        sampan.start("--plugin-dir", str(places))
        last = "NetworkDriver." + ("DeleteEndpoint" if "endpoint" in point else "DeleteNetwork")
        until_last(calls, last)
        eventually(lambda: claims(sampan) == 0)
        if point == "network-before-commit":
            assert sampan.api("GET", "/networks/far").status == 404
            assert create(sampan).status == 201
            eventually(lambda: claims(sampan) == 0)
    eventually(lambda: sampan.api("GET", "/networks/far").status == 404)


def test_a_running_container_is_adopted(sampan: Sampan, net: tuple[NetworkPlugin, ServedPlugin], places: Path) -> None:
    _, calls = net
    assert create(sampan).status == 201
    assert run(sampan, "kept", "sleep", "1000").status == 204
    before = settings(sampan, "kept")["IPAddress"]
    sampan.kill()
    sampan.start("--plugin-dir", str(places))
    assert settings(sampan, "kept")["IPAddress"] == before
    assert calls.of("NetworkDriver.Leave") == []
    assert run(sampan, "next", "sleep", "1000").status == 204
    assert settings(sampan, "next")["IPAddress"] != before
    sampan.remove_containers()
    eventually(lambda: len(calls.of("NetworkDriver.DeleteEndpoint")) == 2)
