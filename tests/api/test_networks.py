"""Networks of one's own, with real containers and the real `docker` command: who reaches whom, and what outlives the daemon."""

import http.client
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import leaks
from tests.daemons import Outcome, Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables")

SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture(autouse=True)
def _containers_and_networks_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))


def ok(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome
    return outcome.text


def refused(outcome: Outcome) -> str:
    assert outcome.code != 0, outcome
    return outcome.err.decode()


def run(engine: Sampan, name: str, *flags: str) -> None:
    ok(engine.docker("run", "-d", "--name", name, *flags, *SLEEP))


def inside(engine: Sampan, name: str, *words: str) -> Outcome:
    return engine.inside(name, *words)


def reaches(engine: Sampan, name: str, address: str) -> bool:
    return inside(engine, name, "ping", "-c1", "-W1", address).code == 0


def ends(engine: Sampan, name: str) -> dict[str, dict[str, object]]:
    found = json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", name)))
    assert isinstance(found, dict)
    return found


def address(engine: Sampan, name: str, network: str) -> str:
    return str(ends(engine, name)[network]["IPAddress"])


def links(engine: Sampan, name: str) -> list[str]:
    """`eth0 10.9.0.2/24` for each interface, and the default route."""
    shown = ok(inside(engine, name, "ip", "-4", "-o", "address", "show"))
    found = [" ".join(line.split()[1:4:2]) for line in shown.splitlines() if " lo " not in line]
    routes = ok(inside(engine, name, "ip", "route")).splitlines()
    return [*found, *(route.split(" dev")[0] for route in routes if route.startswith("default"))]


def test_a_network_and_its_life(engine: Sampan) -> None:
    made = ok(
        engine.docker(
            *("network", "create", "--subnet", "10.231.0.0/24", "--ip-range", "10.231.0.128/25"),
            *(
                "--gateway",
                "10.231.0.1",
                "--aux-address",
                "router=10.231.0.128",
                "--label",
                "tier=back",
                "--attachable",
            ),
            *("-o", "com.docker.network.driver.mtu=1400", "-o", "com.docker.network.bridge.name=sptestbr", "back"),
        )
    )
    shown = json.loads(ok(engine.docker("network", "inspect", "-v", "back")))[0]
    assert shown["Id"] == made
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.231.0.0/24",
            "IPRange": "10.231.0.128/25",
            "Gateway": "10.231.0.1",
            "AuxiliaryAddresses": {"router": "10.231.0.128"},
        }
    ]
    assert (shown["Labels"], shown["Attachable"], shown["Internal"]) == ({"tier": "back"}, True, False)
    run(engine, "one", "--network", "back")
    run(engine, "two", "--network", made[:8], "--ip", "10.231.0.7", "--mac-address", "02:00:00:00:00:77")
    assert links(engine, "one") == ["eth0 10.231.0.129/24", "default via 10.231.0.1"]
    assert links(engine, "two")[0] == "eth0 10.231.0.7/24"
    eth0 = ok(inside(engine, "two", "ip", "link", "show", "eth0"))
    assert "mtu 1400" in eth0
    assert "02:00:00:00:00:77" in eth0
    assert reaches(engine, "one", "10.231.0.7")
    members = json.loads(ok(engine.docker("network", "inspect", "back")))[0]["Containers"]
    assert sorted((one["Name"], one["IPv4Address"]) for one in members.values()) == [
        ("one", "10.231.0.129/24"),
        ("two", "10.231.0.7/24"),
    ]
    assert ok(engine.docker("ps", "-q", "--no-trunc", "-f", "network=back")).split() != []
    told = refused(engine.docker("network", "rm", "back"))
    assert "error while removing network: network back has active endpoints (name:" in told
    assert engine.api("DELETE", "/networks/back").status == 403
    ok(engine.docker("rm", "-f", "one", "two"))
    assert ok(engine.docker("network", "rm", "back")) == "back"
    assert "sptestbr" not in subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    assert "network back not found" in refused(engine.docker("network", "rm", "back"))


def test_refusals_in_docker_s_words_leave_nothing(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "--subnet", "10.232.0.0/24", "taken"))
    before = leaks.marked(engine.instance)
    for flags, words in (
        (("taken",), "network with name taken already exists"),
        (("--subnet", "10.232.0.0/25", "x"), "Pool overlaps with other one on this address space"),
        (("--subnet", "10.233.0.5/24", "x"), "invalid subnet 10.233.0.5/24: it should be 10.233.0.0/24"),
        (("-d", "fast", "x"), 'plugin "fast" not found'),
        (("bridge",), "operation is not permitted on predefined bridge network"),
        (("--ipv6", "--subnet", "fd32::5/64", "x"), "invalid subnet fd32::5/64: it should be fd32::/64"),
        (("--ipv4=false", "x"), "IPv4 or IPv6 must be enabled"),
    ):
        assert words in refused(engine.docker("network", "create", *flags))
    assert leaks.settled(lambda: leaks.marked(engine.instance), before) == []
    run(engine, "holder", "--network", "taken", "--ip", "10.232.0.9")
    for asked, words in (
        (("--network", "taken", "--ip", "10.232.0.9"), "Address already in use"),
        (("--network", "taken", "--ip", "10.200.0.9"), "no configured subnet or ip-range contain the IP address"),
        (("--network", "absent"), "network absent not found"),
    ):
        assert words in refused(engine.docker("run", "--rm", *asked, *SLEEP))
    assert "is a pre-defined network and cannot be removed" in refused(engine.docker("network", "rm", "bridge"))
    assert len(json.loads(ok(engine.docker("network", "inspect", "taken")))[0]["Containers"]) == 1


def test_networks_are_apart(engine: Sampan) -> None:
    for name in ("red", "blue", "vault"):
        ok(engine.docker("network", "create", *(["--internal"] if name == "vault" else []), name))
        run(engine, f"in-{name}", "--network", name)
        run(engine, f"also-{name}", "--network", name)
    run(engine, "plain")
    everybody = {name: address(engine, f"in-{name}", name) for name in ("red", "blue", "vault")} | {
        "bridge": address(engine, "plain", "bridge")
    }
    pairs = list(itertools.product(("red", "blue", "vault"), everybody))
    with ThreadPoolExecutor(len(pairs)) as threads:  # most of it is waiting for an answer that must not come
        reached = threads.map(lambda pair: reaches(engine, f"also-{pair[0]}", everybody[pair[1]]), pairs)
    assert [pair for pair, came in zip(pairs, reached, strict=True) if came] == [
        pair for pair in pairs if pair[0] == pair[1]
    ]
    assert not reaches(engine, "plain", everybody["red"])
    (link,) = links(engine, "in-vault")
    assert link.partition("/")[0] == f"eth0 {everybody['vault']}"
    # Even with a route by hand nothing of an internal network is passed on.
    run(engine, "rogue", "--network", "vault", "--cap-add", "NET_ADMIN")
    gateway = json.loads(ok(engine.docker("network", "inspect", "vault")))[0]["IPAM"]["Config"][0]["Gateway"]
    ok(inside(engine, "rogue", "ip", "route", "add", "default", "via", gateway))
    assert reaches(engine, "rogue", gateway)
    assert not reaches(engine, "rogue", everybody["red"])


def test_icc_off(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "cells"))
    run(engine, "one", "--network", "cells")
    run(engine, "two", "--network", "cells")
    assert not reaches(engine, "one", address(engine, "two", "cells"))


def test_several_networks_at_create(engine: Sampan) -> None:
    for number, name in enumerate(("alpha", "beta")):
        ok(engine.docker("network", "create", "--subnet", f"10.234.{number}.0/24", name))
    run(engine, "both", "--network", "name=beta,alias=b", "--network", "alpha")
    assert links(engine, "both") == ["eth0 10.234.0.2/24", "eth1 10.234.1.2/24", "default via 10.234.0.1"]
    assert ends(engine, "both")["beta"]["Aliases"] == ["b"]
    run(engine, "chosen", "--network", "name=alpha", "--network", "name=beta,gw-priority=9,ip=10.234.1.77")
    assert links(engine, "chosen") == ["eth0 10.234.1.77/24", "eth1 10.234.0.3/24", "default via 10.234.1.1"]
    hosts = ok(inside(engine, "chosen", "cat", "/etc/hosts"))
    assert "10.234.1.77\t" in hosts
    assert "10.234.0.3\t" in hosts


def test_in_and_out_while_it_runs(engine: Sampan) -> None:
    for number, name in enumerate(("alpha", "beta")):
        ok(engine.docker("network", "create", "--subnet", f"10.235.{number}.0/24", name))
    run(engine, "walker", "--network", "beta")
    ok(engine.docker("network", "connect", "--ip", "10.235.0.9", "--alias", "w", "alpha", "walker"))
    # The way out is the first by name.
    assert links(engine, "walker") == ["eth0 10.235.1.2/24", "eth1 10.235.0.9/24", "default via 10.235.0.1"]
    assert ends(engine, "walker")["alpha"]["Aliases"] == ["w"]
    assert "endpoint with name walker already exists in network alpha" in refused(
        engine.docker("network", "connect", "alpha", "walker")
    )
    ok(engine.docker("network", "disconnect", "beta", "walker"))
    assert links(engine, "walker") == ["eth1 10.235.0.9/24", "default via 10.235.0.1"]
    assert set(ends(engine, "walker")) == {"alpha"}
    assert "is not connected to network beta" in refused(engine.docker("network", "disconnect", "beta", "walker"))
    engine.kill()
    engine.start()
    assert set(ends(engine, "walker")) == {"alpha"}
    ok(engine.docker("network", "connect", "beta", "walker"))
    assert links(engine, "walker") == ["eth1 10.235.0.9/24", "eth0 10.235.1.2/24", "default via 10.235.0.1"]
    ok(engine.docker("restart", "-t", "0", "walker"))
    assert links(engine, "walker") == ["eth0 10.235.0.9/24", "eth1 10.235.1.2/24", "default via 10.235.0.1"]
    ok(engine.docker("network", "disconnect", "alpha", "walker"))
    ok(engine.docker("network", "disconnect", "beta", "walker"))
    assert links(engine, "walker") == []
    ok(engine.docker("restart", "-t", "0", "walker"))
    assert links(engine, "walker") == []


def test_in_and_out_while_it_is_stopped(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "later"))
    ok(engine.docker("create", "--name", "still", *SLEEP))
    ok(engine.docker("network", "connect", "later", "still"))
    ok(engine.docker("network", "disconnect", "bridge", "still"))
    ok(engine.docker("start", "still"))
    assert set(ends(engine, "still")) == {"later"}
    ok(engine.docker("network", "create", "gone"))
    ok(engine.docker("create", "--name", "orphan", "--network", "gone", *SLEEP))
    ok(engine.docker("network", "rm", "gone"))
    assert "network gone not found" in refused(engine.docker("start", "orphan"))
    for mode in ("none", "host"):
        ok(engine.docker("create", "--name", f"with-{mode}", "--network", mode, *SLEEP))
        assert "cannot be connected to" in refused(engine.docker("network", "connect", "later", f"with-{mode}"))


def fetched(port: int) -> bytes:
    """What a server of this host answers; empty where nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def test_published_ports_follow_the_way_out(engine: Sampan) -> None:
    for name in ("alpha", "beta"):
        ok(engine.docker("network", "create", name))
    ok(engine.docker("network", "create", "--internal", "vault"))
    serve = "echo here > /tmp/index.html; exec httpd -f -h /tmp -p 80"
    ok(
        engine.docker(
            "run", "-d", "--name", "web", "--network", "beta", "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve
        )
    )
    port = int(ok(engine.docker("port", "web", "80")).rpartition(":")[2])
    eventually(lambda: fetched(port) == b"here\n", "it does not answer")
    ok(engine.docker("network", "connect", "alpha", "web"))
    assert fetched(port) == b"here\n"
    ok(engine.docker("network", "disconnect", "alpha", "web"))
    assert fetched(port) == b"here\n"
    ok(engine.docker("network", "connect", "vault", "web"))
    ok(engine.docker("network", "disconnect", "beta", "web"))
    assert fetched(port) == b""
    ok(engine.docker("network", "connect", "beta", "web"))
    assert fetched(port) == b"here\n"
    # What is published on loopback is the host's own.
    run(engine, "stranger", "--network", "alpha")
    gateway = str(ends(engine, "stranger")["alpha"]["Gateway"])
    assert inside(engine, "stranger", "sh", "-c", f"nc -w 2 {gateway} {port} < /dev/null").code == 1
    engine.kill()
    engine.start()
    assert fetched(port) == b"here\n"


def test_lists_and_filters(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "--label", "tier=back", "idle"))
    ok(engine.docker("network", "create", "--label", "tier=front", "busy"))
    run(engine, "one", "--network", "busy")

    def listed(*filters: str) -> list[str]:
        flags = [word for one in filters for word in ("-f", one)]
        return ok(engine.docker("network", "ls", "--format", "{{.Name}}", *flags)).split()

    assert listed() == ["bridge", "busy", "host", "idle", "none"]
    assert listed("type=custom") == ["busy", "idle"]
    assert listed("type=builtin") == ["bridge", "host", "none"]
    assert listed("dangling=true") == ["idle"]
    assert listed("dangling=false", "type=custom") == ["busy"]
    assert listed("label=tier=back") == ["idle"]
    assert listed("name=us") == ["busy"]
    assert listed("driver=null") == ["none"]
    assert listed("scope=swarm") == []
    assert "invalid filter" in refused(engine.docker("network", "ls", "-f", "type=x"))
    assert ok(engine.docker("network", "prune", "-f", "--filter", "label=tier=front")) == ""
    assert "idle" in ok(engine.docker("network", "prune", "-f", "--filter", "label!=tier=front"))
    assert listed("type=custom") == ["busy"]


def test_events(engine: Sampan) -> None:
    made = ok(engine.docker("network", "create", "told"))
    run(engine, "one", "--network", "told")
    ok(engine.docker("network", "disconnect", "told", "one"))
    ok(engine.docker("network", "rm", "told"))
    shown = ok(
        engine.docker(
            "events", "--since", "1", "--until", str(int(time.time()) + 1), "-f", f"network={made}", "--format",
            "{{.Action}} {{index .Actor.Attributes \"name\"}} {{index .Actor.Attributes \"type\"}}",
        )
    )  # fmt: skip
    assert shown.splitlines() == [f"{what} told bridge" for what in ("create", "connect", "disconnect", "destroy")]


def test_all_of_it_outlives_the_daemon(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "--subnet", "10.236.0.0/24", "--label", "a=b", "kept"))
    ok(engine.docker("network", "create", "empty"))
    run(engine, "one", "--network", "kept")
    run(engine, "two", "--network", "kept")
    before = ok(engine.docker("network", "inspect", "kept", "empty"))
    places = ends(engine, "one")
    engine.kill()
    engine.start()
    assert ok(engine.docker("network", "inspect", "kept", "empty")) == before
    assert ends(engine, "one") == places
    assert reaches(engine, "one", address(engine, "two", "kept"))
    run(engine, "three", "--network", "kept")
    assert address(engine, "three", "kept") == "10.236.0.4"
    # An orderly end without containers takes the links away; the next daemon makes them again.
    engine.remove_containers()
    engine.stop()
    assert "10.236.0.1" not in subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
    engine.start()
    assert ok(engine.docker("network", "ls", "-q", "-f", "type=custom")).split() != []
    run(engine, "again", "--network", "kept")
    assert address(engine, "again", "kept") == "10.236.0.2"


def test_sampan_s_own_command(engine: Sampan) -> None:
    made = ok(engine.sampan("network", "create", "--subnet", "10.237.0.0/24", "--ip-range", "10.237.0.8/29", "mine"))
    assert (
        json.loads(ok(engine.sampan("network", "inspect", made)))[0]["IPAM"]["Config"][0]["IPRange"] == "10.237.0.8/29"
    )
    ok(engine.sampan("run", "-d", "--name", "one", *SLEEP))
    ok(engine.sampan("network", "connect", "--ip", "10.237.0.5", "mine", "one"))
    assert address(engine, "one", "mine") == "10.237.0.5"
    ok(engine.sampan("network", "disconnect", "mine", "one"))
    assert "no matching subnet for gateway 10.1.0.1" in refused(
        engine.sampan("network", "create", "--subnet", "10.238.0.0/24", "--gateway", "10.1.0.1", "x")
    )
    assert ok(engine.sampan("network", "rm", "mine")) == "mine"
    assert ok(engine.sampan("network", "rm", "-f", "mine")) == ""
    assert "network mine not found" in refused(engine.sampan("network", "rm", "mine"))
    ok(engine.sampan("network", "create", "idle"))
    assert ok(engine.sampan("network", "prune", "-f")) == "Deleted Networks:\nidle"


def test_what_is_not_exposed_is_not_published(engine: Sampan) -> None:
    """As in Docker 28; commands expose what they publish, so it is the API alone that shows it."""
    bindings = {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "1000"],
        "ExposedPorts": {"81/tcp": {}},
        "HostConfig": {"PortBindings": bindings},
    }
    assert engine.api("POST", "/containers/create?name=half", body).status == 201
    ok(engine.docker("start", "half"))
    assert ok(engine.docker("port", "half")).startswith("81/tcp -> 127.0.0.1:")
    shown = json.loads(ok(engine.docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", "half")))
    assert shown == bindings
