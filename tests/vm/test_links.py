"""Networks on a link of the host, of the kinds that a small kernel lacks: ipvlan, VLANs, dummies; with a neighbour on the wire."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.vm.conftest import sampan, shell

WIRE = "wire"
"""The host's end of it; the neighbour's has the same name."""
HOST, ROUTER = "10.99.0.1", "10.99.0.2"
SUBNET = ("--subnet", "10.99.0.0/24", "--ip-range", "10.99.0.128/25", "--gateway", ROUTER)
SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture(scope="module")
def wire(service: None) -> Iterator[None]:
    """A neighbour that is a router: what is behind it has the address 10.98.0.1."""
    for words in (
        "netns add neighbour",
        f"link add {WIRE} type veth peer name {WIRE} netns neighbour",
        f"address add {HOST}/24 dev {WIRE}",
        f"link set {WIRE} up",
        f"-n neighbour address add {ROUTER}/24 dev {WIRE}",
        "-n neighbour address add 10.98.0.1/32 dev lo",
        "-n neighbour link set lo up",
        f"-n neighbour link set {WIRE} up",
        # A network that is routed: by the host's address.
        f"-n neighbour route add 10.50.0.0/24 via {HOST}",
        f"route add 10.98.0.0/24 via {ROUTER}",
    ):
        shell("ip", *words.split())
    yield
    shell("ip", "link", "delete", WIRE)
    shell("ip", "netns", "delete", "neighbour")


@pytest.fixture(autouse=True)
def _everything_goes(wire: None) -> Iterator[None]:
    before = host_links()
    yield
    if names := sampan("ps", "-aq").split():
        sampan("rm", "-f", *names)
    sampan("network", "prune", "-f")
    assert host_links() == before


def host_links() -> list[str]:
    """Without pairs and bridges, which come and go with the default network."""
    found = json.loads(shell("ip", "-j", "-d", "link"))
    kinds = ("veth", "bridge")
    return sorted(one["ifname"] for one in found if one.get("linkinfo", {}).get("info_kind") not in kinds)


def create(driver: str, name: str, *flags: str) -> str:
    return sampan("network", "create", "-d", driver, *flags, name)


def run(name: str, *flags: str) -> None:
    sampan("run", "-d", "--name", name, *flags, *SLEEP)


def reaches(name: str, target: str) -> bool:
    return "1 packets received" in sampan("exec", name, "ping", "-c", "1", "-W", "3", target, expect=None)


def neighbour_reaches(target: str) -> bool:
    words = f"ip netns exec neighbour busybox ping -c 1 -W 3 {target}"
    return "1 packets received" in shell(*words.split(), expect=None)


def address(name: str, network: str) -> str:
    return sampan("inspect", "-f", f"{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}", name)


def default_route(name: str) -> str:
    lines = sampan("exec", name, "ip", "route").splitlines()
    return " ".join(line.strip() for line in lines if line.startswith("default"))


def mac(shown: str) -> str:
    found = re.search(r"link/ether ([0-9a-f:]+)", shown)
    assert found is not None, shown
    return found[1]


def test_ipvlan_shares_the_parent_s_hardware_address_and_outlives_the_daemon() -> None:
    create("ipvlan", "lan", *SUBNET, "-o", f"parent={WIRE}")
    run("one", "--network", "lan", "-p", "8041:80")
    run("two", "--network", "lan", "--ip", "10.99.0.7")
    assert mac(sampan("exec", "one", "ip", "link", "show", "eth0")) == mac(shell("ip", "link", "show", WIRE))
    assert default_route("one") == f"default via {ROUTER} dev eth0"
    assert reaches("one", "two")
    assert reaches("one", "10.98.0.1")
    assert neighbour_reaches("10.99.0.7")
    assert sampan("inspect", "-f", "{{json .NetworkSettings.Ports}}", "one") == "{}"
    assert sampan("inspect", "-f", "{{json .NetworkSettings.Networks.lan.MacAddress}}", "one") == '""'
    shell("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "sampan.service")
    shell("systemctl", "restart", "sampan.service")
    assert neighbour_reaches("10.99.0.7")
    sampan("network", "disconnect", "lan", "two")
    assert not neighbour_reaches("10.99.0.7")
    sampan("network", "connect", "lan", "two")
    assert reaches("one", "two")
    refused = sampan(
        "run", "--network", "lan", "--name", "other", "--mac-address", "02:00:00:00:00:08", *SLEEP, expect=125
    )
    assert "ipvlan interfaces do not support custom mac address assignment" in refused
    sampan("rm", "other")
    refused = sampan("network", "create", "-d", "ipvlan", "-o", f"parent={WIRE}", "more", expect=1)
    assert f"is already using parent interface {WIRE}" in refused


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_ipvlan_routes(mode: str) -> None:
    create("ipvlan", "routed", "--subnet", "10.50.0.0/24", "-o", f"parent={WIRE}", "-o", f"ipvlan_mode={mode}")
    run("one", "--network", "routed")
    run("two", "--network", "routed")
    assert address("one", "routed") == "10.50.0.1", "no address is kept for a gateway"
    assert default_route("one") == "default dev eth0 scope link"
    assert reaches("one", "two")
    assert reaches("one", ROUTER)
    assert reaches("one", "10.98.0.1")
    assert neighbour_reaches("10.50.0.2")
    # Beside a bridge: one default route at a time, by a gateway or by the link.
    sampan("network", "connect", "--gw-priority", "5", "bridge", "one")
    assert default_route("one").startswith("default via ")
    sampan("network", "disconnect", "bridge", "one")
    assert default_route("one") == "default dev eth0 scope link"
    assert reaches("one", "10.98.0.1")


@pytest.mark.parametrize(("flag", "together"), [("private", False), ("vepa", False)])
def test_ipvlan_flags(flag: str, together: bool) -> None:
    create("ipvlan", "lan", *SUBNET, "-o", f"parent={WIRE}", "-o", f"ipvlan_flag={flag}")
    run("one", "--network", "lan")
    run("two", "--network", "lan")
    assert reaches("one", address("two", "lan")) is together
    assert neighbour_reaches(address("one", "lan"))


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_a_vlan_is_made_and_goes_with_its_network(driver: str) -> None:
    shell("ip", "-n", "neighbour", "link", "add", "link", WIRE, "name", "tagged", "type", "vlan", "id", "50")
    shell("ip", "-n", "neighbour", "address", "add", "10.97.0.1/24", "dev", "tagged")
    shell("ip", "-n", "neighbour", "link", "set", "tagged", "up")
    try:
        create(driver, "vlan", "--subnet", "10.97.0.0/24", "--gateway", "10.97.0.1", "-o", f"parent={WIRE}.50")
        shown = shell("ip", "-d", "link", "show", f"{WIRE}.50")
        assert "vlan protocol 802.1Q id 50" in shown
        assert re.search("alias sampan [0-9a-f]{12}$", shown, re.MULTILINE)
        run("one", "--network", "vlan")
        assert reaches("one", "10.97.0.1")
        assert neighbour_reaches(address("one", "vlan"))
        sampan("rm", "-f", "one")
        # A restart of the service without a container takes it away and makes it again.
        shell("systemctl", "restart", "sampan.service")
        run("one", "--network", "vlan")
        assert reaches("one", "10.97.0.1")
    finally:
        shell("ip", "-n", "neighbour", "link", "delete", "tagged")


@pytest.mark.parametrize(("driver", "prefix"), [("macvlan", "dm-"), ("ipvlan", "di-")])
def test_without_a_parent_it_leads_nowhere(driver: str, prefix: str) -> None:
    made = create(driver, "alone", "--subnet", "10.96.0.0/24")
    assert prefix + made[:12] in host_links()
    run("one", "--network", "alone")
    run("two", "--network", "alone")
    assert address("one", "alone") == "10.96.0.1"
    assert default_route("one") == ""
    assert reaches("one", "two")
    assert sampan("network", "inspect", "-f", "{{.Internal}}", "alone") == "false", "as Docker says it"


def test_both_kinds_on_one_parent_are_refused_by_the_kernel() -> None:
    create("macvlan", "lan", *SUBNET, "-o", f"parent={WIRE}")
    create("ipvlan", "other", "--subnet", "10.95.0.0/24", "-o", f"parent={WIRE}")
    run("one", "--network", "lan")
    refused = sampan("run", "-d", "--name", "two", "--network", "other", *SLEEP, expect=125)
    assert "failed to set up container networking: failed to create the ipvlan port: device or resource busy" in refused
    assert "failed to create the ipvlan port" in sampan("network", "connect", "other", "one", expect=1)
