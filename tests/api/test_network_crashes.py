"""The daemon dies over a change of a network or of who stands in it: what was not acknowledged is there wholly or not at all.

What holds afterwards: containers have the interfaces that the records say, the way out that belongs to them, and reach whom
they should; no address is given twice, no port leads to where nobody is, no link belongs to nobody.
"""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from sampan.crashpoints import POINTS
from tests.api.test_crash_points import restart, start_armed
from tests.api.test_names import found, pid
from tests.api.test_networks import address, ends, inside, links, ok, reaches, run
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "docker-client:28", "busybox", "ip")

RELINK = ("relink-after-record", "relink-after-change", "relink-before-commit", "relink-after-commit")
NETWORK = ("network-before-commit", "network-after-commit", "network-after-removal")


@pytest.fixture(autouse=True)
def _all_goes(engine: Sampan) -> Iterator[None]:
    yield
    if engine.process is None or engine.process.poll() is not None:
        engine.start()
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))


def test_every_point_has_a_case() -> None:
    assert {*RELINK, *NETWORK} == {point for point in POINTS if point.startswith(("network-", "relink-"))}


def dies(engine: Sampan, point: str, path: str, body: object, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request over which the daemon dies at this point; then another one comes."""
    start_armed(engine, point, monkeypatch)
    process = engine.process
    assert process is not None
    with pytest.raises((OSError, http.client.HTTPException)):
        engine.api(method, path, body)
    assert process.wait(15) == -9
    restart(engine)


def bridges(engine: Sampan) -> dict[str, int]:
    """This engine's bridges, and how many ports each has."""
    shown = json.loads(subprocess.run(["ip", "-j", "-d", "link"], check=True, capture_output=True).stdout)
    mine = [one["ifname"] for one in shown if f"sampan {engine.instance}" in one.get("ifalias", "")]
    return {name: sum(one.get("master") == name for one in shown) for name in mine}


@pytest.mark.parametrize("point", NETWORK[:2])
def test_create(engine: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {
        "Name": "half",
        "EnableIPv6": True,
        "IPAM": {"Config": [{"Subnet": "10.244.0.0/24"}, {"Subnet": "fd47::/64"}]},
    }
    dies(engine, point, "/networks/create", body, "POST", monkeypatch)
    if point == "network-before-commit":
        assert engine.api("GET", "/networks/half").status == 404
        assert len(bridges(engine)) == 1  # the default one
        assert engine.api("POST", "/networks/create", body).status == 201
    run(engine, "one", "--network", "half")
    run(engine, "two", "--network", "half")
    assert reaches(engine, "one", address(engine, "two", "half"))


def test_remove(engine: Sampan, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(engine.docker("network", "create", "half"))
    dies(engine, "network-after-removal", "/networks/half", None, "DELETE", monkeypatch)
    run(engine, "one", "--network", "half")  # it is there, with its link
    assert reaches(engine, "one", str(ends(engine, "one")["half"]["Gateway"]))
    engine.remove_containers()
    assert engine.api("DELETE", "/networks/half").status == 204
    assert len(bridges(engine)) == 1


def whole(engine: Sampan, name: str) -> None:
    """What the records say of a container's networks is what it has, and its published port leads to it."""
    kept = ends(engine, name)
    shown = links(engine, name)
    assert sorted(one.split()[1] for one in shown if not one.startswith("default")) == sorted(
        f"{end['IPAddress']}/{end['IPPrefixLen']}" for end in kept.values()
    )
    first = max(kept.values(), key=lambda end: int(str(end["GwPriority"])))
    assert [one for one in shown if one.startswith("default")] == [f"default via {first['Gateway']}"]
    port = int(ok(engine.docker("port", name, "80/tcp")).splitlines()[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1")


@pytest.fixture
def served(engine: Sampan) -> None:
    """`one` stands in `front` and publishes a port; `back` has `other` in it, which is to be its neighbour."""
    for number, name in enumerate(("front", "back")):
        ok(engine.docker("network", "create", "--subnet", f"10.245.{number}.0/24", name))
    web = ("busybox", "httpd", "-f", "-p", "80")
    ok(engine.docker("run", "-d", "--name", "one", "--network", "front", "--hostname", "one", "-p", "80", *web))
    run(engine, "other", "--network", "back")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("point", RELINK)
def test_connect(engine: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be the new way out: default route and published port move with it, and have to come back."""
    body = {"Container": "one", "EndpointConfig": {"GwPriority": 5, "Aliases": ["uno"]}}
    dies(engine, point, "/networks/back/connect", body, "POST", monkeypatch)
    whole(engine, "one")
    done = "back" in ends(engine, "one")
    assert done == (point == "relink-after-commit")
    if done:
        assert address(engine, "one", "back") in ok(inside(engine, "one", "cat", "/etc/hosts"))
    else:
        # Its address is another's now.
        run(engine, "third", "--network", "back")
        assert address(engine, "third", "back") == "10.245.1.3"
        assert reaches(engine, "third", address(engine, "other", "back"))
        assert engine.api("POST", "/networks/back/connect", body).status == 200
    whole(engine, "one")
    assert found(engine, "other", "uno") == [address(engine, "one", "back")]
    assert reaches(engine, "one", address(engine, "other", "back"))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("point", RELINK)
def test_disconnect(engine: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(engine.docker("network", "connect", "--gw-priority", "5", "back", "one"))
    before = address(engine, "one", "back")
    whole(engine, "one")
    dies(engine, point, "/networks/back/disconnect", {"Container": "one"}, "POST", monkeypatch)
    whole(engine, "one")
    done = "back" not in ends(engine, "one")
    assert done == (point == "relink-after-commit")
    if not done:
        assert address(engine, "one", "back") == before
        assert reaches(engine, "one", address(engine, "other", "back"))
        assert found(engine, "other", "one") == [before]
        assert engine.api("POST", "/networks/back/disconnect", {"Container": "one"}).status == 200
        whole(engine, "one")
    assert before not in ok(inside(engine, "one", "cat", "/etc/hosts"))
    run(engine, "third", "--network", "back")
    assert address(engine, "third", "back") == before


@pytest.mark.usefixtures("served")
def test_connect_from_the_default_bridge_brings_names(engine: Sampan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record holds, the container's file did not say so yet: whom to ask for names."""
    run(engine, "mover")
    dies(engine, "relink-after-commit", "/networks/back/connect", {"Container": "mover"}, "POST", monkeypatch)
    assert "nameserver 127.0.0.11" in ok(inside(engine, "mover", "cat", "/etc/resolv.conf"))
    eventually(lambda: found(engine, "mover", "other") == [address(engine, "other", "back")], "it is not served")
    assert pid(engine, "mover") > 0


@pytest.mark.usefixtures("served")
def test_the_container_ends_while_there_is_no_daemon(engine: Sampan, monkeypatch: pytest.MonkeyPatch) -> None:
    program = pid(engine, "one")
    start_armed(engine, "relink-after-change", monkeypatch)
    with pytest.raises((OSError, http.client.HTTPException)):
        engine.api("POST", "/networks/back/connect", {"Container": "one"})
    os.kill(program, signal.SIGKILL)
    restart(engine)
    eventually(lambda: not running(engine, "one"), "it runs")
    ok(engine.docker("start", "one"))
    whole(engine, "one")
    assert "back" not in ends(engine, "one")


@contextmanager
def unrecorded(engine: Sampan) -> Iterator[None]:
    """The state database takes everything but where containers stand: a fault of the disk at the one moment where it would hurt."""
    with closing(sqlite3.connect(engine.data_root / "sampan.db", isolation_level=None)) as database:
        refuse = "WHEN NEW.tbl = 'container-endpoints' BEGIN SELECT RAISE(ABORT, 'by tests'); END"
        for when in ("INSERT", "UPDATE"):
            database.execute(f"CREATE TRIGGER no_{when} BEFORE {when} ON entry {refuse}")
        try:
            yield
        finally:
            for when in ("INSERT", "UPDATE"):
                database.execute(f"DROP TRIGGER no_{when}")


@pytest.mark.usefixtures("served")
def test_a_connect_that_cannot_be_recorded_is_taken_back(engine: Sampan) -> None:
    body = {"Container": "one", "EndpointConfig": {"GwPriority": 5, "Aliases": ["uno"]}}
    with unrecorded(engine):
        refused = engine.api("POST", "/networks/back/connect", body)
    assert (refused.status, b"by tests" in refused.body) == (500, True), refused
    for later in (False, True):
        if later:
            restart(engine)
        whole(engine, "one")
        assert "back" not in ends(engine, "one")
    # Its address is another's now, and the next time it is there.
    run(engine, "third", "--network", "back")
    assert address(engine, "third", "back") == "10.245.1.3"
    assert engine.api("POST", "/networks/back/connect", body).status == 200
    whole(engine, "one")
    assert found(engine, "other", "uno") == [address(engine, "one", "back")]


@pytest.mark.usefixtures("served")
def test_a_disconnect_that_cannot_be_recorded_is_taken_back(engine: Sampan) -> None:
    ok(engine.docker("network", "connect", "--gw-priority", "5", "--alias", "uno", "back", "one"))
    before = address(engine, "one", "back")
    with unrecorded(engine):
        assert engine.api("POST", "/networks/back/disconnect", {"Container": "one"}).status == 500
    for later in (False, True):
        if later:
            restart(engine)
        whole(engine, "one")
        assert address(engine, "one", "back") == before
        assert reaches(engine, "one", address(engine, "other", "back"))
        assert found(engine, "other", "uno") == [before]
    assert engine.api("POST", "/networks/back/disconnect", {"Container": "one"}).status == 200
    whole(engine, "one")


def running(engine: Sampan, name: str) -> bool:
    return ok(engine.docker("inspect", "-f", "{{.State.Running}}", name)) == "true"


KINDS = {
    "both": ("--ipv6", "--subnet", "10.243.0.0/24", "--subnet", "fd43::/64", "--ip-range", "10.243.0.128/25"),
    "six": ("--ipv6", "--ipv4=false", "--subnet", "fd44::/64"),
    "routed": ("--ipv6", *(f"-ocom.docker.network.bridge.gateway_mode_ipv{version}=routed" for version in (4, 6))),
    "bare": ("-ocom.docker.network.bridge.gateway_mode_ipv4=nat-unprotected",),
    "inner": ("--internal", "-ocom.docker.network.bridge.gateway_mode_ipv4=isolated"),
    "cells": ("-ocom.docker.network.bridge.enable_icc=false", "-ocom.docker.network.driver.mtu=1400"),
    "chosen": (
        "-ocom.docker.network.host_ipv4=127.0.0.1",
        "-ocom.docker.network.bridge.trusted_host_interfaces=absent0",
    ),
}


def told(engine: Sampan) -> dict[str, object]:
    """Everything that is said of networks, their rules and their links."""
    names = ok(engine.docker("ps", "--format", "{{.Names}}")).split()
    tables = (["nft", "list", "table", family, f"sampan-{engine.instance}"] for family in ("ip", "ip6"))
    return {
        "networks": json.loads(ok(engine.docker("network", "inspect", *KINDS))),
        "containers": [
            json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings}}", one))) for one in sorted(names)
        ],
        "ports": [sorted(ok(engine.docker("port", one)).splitlines()) for one in sorted(names)],
        "rules": [
            sorted(
                subprocess.run(table, check=True, capture_output=True, text=True).stdout.replace(",", "\n").split("\n")
            )
            for table in tables
        ],
        "links": bridges(engine),
        "inside": [ok(inside(engine, one, "ip", "address")) for one in sorted(names)],
        "routes": [ok(inside(engine, one, "ip", "route")) for one in sorted(names)],
    }


def test_every_kind_outlives_the_daemon(engine: Sampan) -> None:
    for name, flags in KINDS.items():
        ok(engine.docker("network", "create", *flags, "--label", f"kind={name}", name))
        run(
            engine,
            f"in-{name}",
            "--network",
            name,
            "-p",
            "80",
            "-p",
            "81/udp",
            "--network-alias",
            "any",
            "--hostname",
            name,
        )
    run(engine, "wide", *(word for name in KINDS for word in ("--network", name)), "-p", "82", "--link", "in-both:db")
    ok(engine.docker("network", "disconnect", "six", "wide"))
    ok(engine.docker("network", "connect", "--ip6", "fd44::99", "six", "wide"))
    before = told(engine)
    for _ in range(2):
        engine.kill()
        engine.start()
        assert told(engine) == before
    # Names go on, addresses are nobody else's, ports are taken, and what is new fits in.
    assert found(engine, "in-both", "wide") == [address(engine, "wide", "both")]
    run(engine, "late", "--network", "both")
    assert address(engine, "late", "both") not in {address(engine, one, "both") for one in ("in-both", "wide")}
    port = ok(engine.docker("port", "in-both", "80/tcp")).splitlines()[0].rpartition(":")[2]
    taken = engine.docker("run", "-d", "-p", f"{port}:80", "busybox", "true")
    assert b"port is already allocated" in taken.err
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))
    assert len(bridges(engine)) == 1
