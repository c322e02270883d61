"""Containers on a link of the host (macvlan), with a real neighbour on its wire and the real `docker` command."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from tests.api.test_networks import address, ends, inside, links, ok, reaches, refused, run
from tests.daemons import Sampan
from tests.kernel.network.lab import Namespace, new_namespace
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables", "macvlan", "ip")

PARENT, OTHER = f"spw{os.getpid()}", f"spx{os.getpid()}"
"""The host's ends of two wires."""
ROUTER = "10.241.0.1"
SUBNET = ("--subnet", "10.241.0.0/24", "--gateway", ROUTER, "--ip-range", "10.241.0.128/25")


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Namespace]:
    """A host at the other end of `PARENT`; nobody is at that of `OTHER`."""
    made = new_namespace()
    with Netlink(NETLINK_ROUTE) as route:
        for name in (PARENT, OTHER):
            route.request_all([rtnetlink.veth_message(name, 0, 1500, name, b"", descriptor=made.descriptor)])
            route.request_all([rtnetlink.port_up_message(name)])
    with made.entered():
        for name, own in ((PARENT, f"{ROUTER}/24"), (OTHER, "10.242.0.1/24")):
            subprocess.run(["ip", "address", "add", own, "dev", name], check=True)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        subprocess.run(["ip", "address", "add", "10.240.0.1/32", "dev", "lo"], check=True)
        subprocess.run(["ip", "address", "add", "fd41::1/64", "dev", PARENT, "nodad"], check=True)
    yield made
    for name in (PARENT, OTHER):
        subprocess.run(["ip", "link", "delete", name], check=True)
    os.close(made.descriptor)


@pytest.fixture(autouse=True)
def _everything_goes(engine: Sampan, neighbour: Namespace) -> Iterator[None]:
    before = host_links()
    yield
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))
    assert host_links() == before


def host_links() -> list[tuple[str, str]]:
    """Names and hardware addresses, but for what others make."""
    found = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    return sorted((one["ifname"], one["address"]) for one in found if one["ifname"] in (PARENT, OTHER))


def create(engine: Sampan, name: str, *flags: str, parent: str = PARENT) -> str:
    return ok(engine.docker("network", "create", "-d", "macvlan", "-o", f"parent={parent}", *flags, name))


def asks(neighbour: Namespace, target: str) -> bool:
    """Whether the neighbour reaches an address."""
    with neighbour.entered():
        return subprocess.run(["busybox", "ping", "-c1", "-W1", target], capture_output=True).returncode == 0


def default_route(engine: Sampan, name: str) -> str:
    shown = ok(inside(engine, name, "ip", "route", "show", "default"))
    return shown.partition(" dev")[0]


def test_a_network_and_its_life(engine: Sampan, neighbour: Namespace) -> None:
    made = create(engine, "lan", *SUBNET, "--label", "a=b")
    shown = json.loads(ok(engine.docker("network", "inspect", "lan")))[0]
    assert (shown["Id"], shown["Driver"], shown["Options"]) == (made, "macvlan", {"parent": PARENT})
    assert shown["IPAM"]["Config"] == [
        {"Subnet": "10.241.0.0/24", "IPRange": "10.241.0.128/25", "Gateway": ROUTER},
    ]
    run(engine, "one", "--network", "lan", "-p", "8041:80", "--expose", "90")
    run(engine, "two", "--network", "lan", "--ip", "10.241.0.7", "--mac-address", "02:00:00:00:00:41")
    assert links(engine, "one") == ["eth0 10.241.0.128/24", f"default via {ROUTER}"]
    assert "02:00:00:00:00:41" in ok(inside(engine, "two", "ip", "link", "show", "eth0"))
    assert reaches(engine, "one", "two")
    assert reaches(engine, "two", "one.lan")
    assert reaches(engine, "one", "10.240.0.1"), "what lies behind the router"
    assert asks(neighbour, "10.241.0.128")
    assert asks(neighbour, "10.241.0.7")
    # As in Docker: the ports are its own, and none of the host's is taken.
    assert ok(engine.docker("port", "one")) == ""
    assert json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", "one"))) == {}
    end = ends(engine, "one")["lan"]
    assert (end["Gateway"], end["IPAddress"], end["IPPrefixLen"]) == (ROUTER, "10.241.0.128", 24)
    assert "active endpoints" in refused(engine.docker("network", "rm", "lan"))

    mac = ends(engine, "one")["lan"]["MacAddress"]
    engine.kill()
    engine.start()
    assert asks(neighbour, "10.241.0.128")
    assert reaches(engine, "one", "two")
    assert ends(engine, "one")["lan"]["MacAddress"] == mac
    run(engine, "three", "--network", "lan")
    assert address(engine, "three", "lan") == "10.241.0.129", "what runs keeps its address"
    for name, same in (("one", "10.241.0.128"), ("two", "10.241.0.7")):
        # A hardware address that was chosen may still be that of the link which is going.
        for _ in range(5):
            ok(engine.docker("restart", "-t", "0", name))
        assert address(engine, name, "lan") == same
        assert asks(neighbour, same)
    assert ends(engine, "one")["lan"]["MacAddress"] != mac


def test_connected_and_disconnected_while_it_runs(engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "lan", *SUBNET)
    run(engine, "one", "-p", "8042:80")
    out = default_route(engine, "one")
    ok(engine.docker("network", "connect", "--ip", "10.241.0.9", "lan", "one"))
    assert links(engine, "one")[1:] == ["eth1 10.241.0.9/24", out], "bridge comes before lan"
    assert asks(neighbour, "10.241.0.9")
    assert ok(engine.docker("port", "one")) != ""
    # The container may call its link as it likes: it goes all the same.
    ok(engine.docker("network", "disconnect", "lan", "one"))
    assert not asks(neighbour, "10.241.0.9")
    ok(engine.docker("network", "connect", "--gw-priority", "3", "lan", "one"))
    assert default_route(engine, "one") == f"default via {ROUTER}"
    assert ok(engine.docker("port", "one")) == "", "the way out is by a network without ports"
    assert reaches(engine, "one", "10.240.0.1")
    ok(engine.docker("network", "disconnect", "lan", "one"))
    assert default_route(engine, "one") == out
    assert ok(engine.docker("port", "one")) != ""


def test_a_link_that_was_renamed_inside_is_taken_away(engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "lan", *SUBNET)
    run(engine, "one", "--cap-add", "NET_ADMIN", "--network", "lan")
    ok(engine.docker("network", "connect", "bridge", "one"))
    for words in ("set eth0 down", "set eth0 name eth9 address 02:00:00:00:00:99", "set eth9 up"):
        ok(inside(engine, "one", "ip", "link", *words.split()))
    ok(engine.docker("network", "disconnect", "lan", "one"))
    assert "eth9" not in ok(inside(engine, "one", "ip", "link"))


def test_first_the_lan_and_then_a_bridge(engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "lan", *SUBNET)
    run(engine, "one", "--network", "lan", "-p", "8043:80")
    assert ok(engine.docker("port", "one")) == ""
    ok(engine.docker("network", "connect", "bridge", "one"))
    assert "8043" in ok(engine.docker("port", "one"))


@pytest.mark.parametrize(("mode", "together"), [("bridge", True), ("private", False), ("vepa", False)])
def test_modes(mode: str, together: bool, engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "lan", *SUBNET, "-o", f"macvlan_mode={mode}")
    run(engine, "one", "--network", "lan")
    run(engine, "two", "--network", "lan")
    assert reaches(engine, "one", address(engine, "two", "lan")) is together
    assert asks(neighbour, address(engine, "one", "lan"))
    assert asks(neighbour, address(engine, "two", "lan"))


def test_passthru_is_for_one(engine: Sampan, neighbour: Namespace) -> None:
    before = host_links()
    made = create(engine, "all", "--subnet", "10.242.0.0/24", "-o", "macvlan_mode=passthru", parent=OTHER)
    told = refused(engine.docker("network", "create", "-d", "macvlan", "-o", f"parent={OTHER}", "more"))
    assert f"macvlan network {made} is already using parent interface {OTHER} in mode passthru" in told
    run(engine, "one", "--network", "all", "--mac-address", "02:00:00:00:00:43")
    assert (OTHER, "02:00:00:00:00:43") in host_links()
    told = refused(engine.docker("run", "-d", "--name", "two", "--network", "all", "busybox", "true"))
    assert (
        "Error response from daemon: failed to set up container networking: "
        "failed to create the macvlan port: invalid argument\n" in told
    )
    for _ in range(2):
        ok(engine.docker("restart", "-t", "0", "one"))
    ok(engine.docker("rm", "-f", "one", "two"))
    eventually(lambda: host_links() == before, "the parent does not get its own hardware address back")


def test_two_families(engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "lan", *SUBNET, "--ipv6", "--subnet", "fd41::/64", "--gateway", "fd41::1")
    run(engine, "one", "--network", "lan")
    run(engine, "two", "--network", "lan", "--ip6", "fd41::9")
    end = ends(engine, "one")["lan"]
    assert (end["GlobalIPv6Address"], end["IPv6Gateway"]) == ("fd41::2", "fd41::1")
    assert reaches(engine, "one", "fd41::9")
    assert asks(neighbour, "fd41::2")
    assert "default via fd41::1" in ok(inside(engine, "one", "ip", "-6", "route"))


def test_internal_ones_and_such_as_have_no_addresses(engine: Sampan, neighbour: Namespace) -> None:
    create(engine, "inner", "--internal", "--subnet", "10.241.0.0/24")
    run(engine, "one", "--network", "inner")
    assert links(engine, "one") == ["eth0 10.241.0.1/24"], "no gateway is kept, and none is set"
    run(engine, "two", "--network", "inner")
    assert reaches(engine, "one", "two")
    create(engine, "bare", "--ipv4=false")
    run(engine, "three", "--network", "bare")
    assert ok(inside(engine, "three", "ip", "-o", "address", "show", "eth0")) == ""
    end = ends(engine, "three")["bare"]
    assert (end["IPAddress"], end["Gateway"], bool(end["MacAddress"])) == ("", "", True)


def test_refusals_in_docker_s_words_leave_nothing(engine: Sampan, neighbour: Namespace) -> None:
    for options, words in (
        ((f"parent={PARENT}", "macvlan_mode=loud"), "requested macvlan mode 'loud' is not valid, 'bridge' mode is the"),
        (("parent=lo",), "loopback interface is not a valid macvlan parent link"),
        (("parent=nowhere",), "invalid subinterface vlan name nowhere, example formatting is eth0.10"),
        ((f"parent={PARENT}.x",), "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
        ((f"parent={PARENT}.5000",), "vlan id must be between 1-4094, received: 5000"),
        (("parent=nope.5",), "-o parent interface was not found on the host: nope"),
        (("parent=a.5.5",), "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead"),
        (("parent=" + "n" * 300,), "invalid subinterface vlan name " + "n" * 255 + ","),
    ):
        flags = [word for option in options for word in ("-o", option)]
        told = refused(engine.docker("network", "create", "-d", "macvlan", *flags, "x"))
        assert f"Error response from daemon: {words}" in told
    body = {"Name": "x", "Driver": "macvlan", "Options": {"parent": "a\nb"}}
    assert engine.api("POST", "/networks/create", body).status == 500
    assert ok(engine.docker("network", "ls", "-q", "-f", "type=custom")) == ""


def test_a_parent_that_is_gone(engine: Sampan, neighbour: Namespace) -> None:
    wire = f"spy{os.getpid()}"
    subprocess.run(["ip", "link", "add", wire, "type", "veth"], check=True)
    create(engine, "lan", *SUBNET, parent=wire)
    subprocess.run(["ip", "link", "delete", wire], check=True)
    told = refused(engine.docker("run", "-d", "--name", "one", "--network", "lan", "busybox", "true"))
    assert f"the requested parent interface {wire} was not found on the Docker host" in told
    # A daemon that starts without it keeps the network, and its containers start once it is back.
    engine.stop()
    engine.start()
    subprocess.run(["ip", "link", "add", wire, "type", "veth"], check=True)
    try:
        ok(engine.docker("rm", "-f", "one"))
        run(engine, "one", "--network", "lan")
    finally:
        subprocess.run(["ip", "link", "delete", wire], check=True)


def test_two_subnets_of_a_family(engine: Sampan, neighbour: Namespace) -> None:
    """The daemon is asked by its API: the command sends subnets in any order."""
    pools = [
        {"Subnet": "10.241.0.0/24", "Gateway": ROUTER, "IPRange": "10.241.0.252/31"},
        {"Subnet": "10.242.0.0/24", "Gateway": "10.242.0.1"},
    ]
    body = {"Name": "both", "Driver": "macvlan", "Options": {"parent": PARENT}, "IPAM": {"Config": pools}}
    assert engine.api("POST", "/networks/create", body).status == 201
    assert json.loads(ok(engine.docker("network", "inspect", "both")))[0]["IPAM"]["Config"] == pools
    for name in ("one", "two", "three"):
        run(engine, name, "--network", "both")
    assert links(engine, "one") == ["eth0 10.241.0.252/24", f"default via {ROUTER}"]
    assert links(engine, "three") == ["eth0 10.242.0.2/24", "default via 10.242.0.1"]
    assert asks(neighbour, "10.241.0.253")
    run(engine, "four", "--network", "both", "--ip", "10.242.0.77")
    assert reaches(engine, "three", "four")
    engine.kill()
    engine.start()
    run(engine, "five", "--network", "both")
    assert address(engine, "five", "both") == "10.242.0.3", "what runs keeps its address, in either subnet"
    ok(engine.docker("rm", "-f", "one"))
    run(engine, "six", "--network", "both")
    assert address(engine, "six", "both") == "10.241.0.252"
    assert "no configured subnet" in refused(engine.docker("run", "--network", "both", "--ip", "10.243.0.9", "busybox"))
