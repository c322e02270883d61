"""The table of rules: read back by `nft`, put back when flushed, and as cheap with many ports as with few."""

import statistics
import subprocess
import time
from collections.abc import Iterator

import pytest

from sampan.kernel import nftables as nft
from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink
from sampan.network.definition import GatewayMode
from sampan.network.firewall import Firewall
from sampan.network.policy import Forward, Zone
from tests.kernel.network.lab import Lab
from tests.requires import requires

pytestmark = requires("root", "netns", "nftables", "nft")

TABLE = "sampan-0123456789ab"
HOME = Zone("sampan0", "172.17.0.0/16", subnet6="fd11::/64")
WEB = Forward("tcp", "0.0.0.0", 8080, "172.17.0.2", 80)
WEB6 = Forward("tcp", "::", 8080, "fd11::2", 80)
NAMES6 = Forward("udp", "fd99::1", 53, "fd11::2", 5353)
PROXIED = Forward("tcp", "::", 8082, "172.17.0.2", 80)
OPEN = Forward("tcp", "0.0.0.0", 0, "172.17.0.2", 81)
NAMES = Forward("udp", "127.0.0.1", 53, "172.17.0.2", 5353)


def ruleset() -> str:
    return subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def netfilter(lab: Lab) -> Iterator[Netlink]:
    with Netlink(NETLINK_NETFILTER) as made:
        yield made


@pytest.fixture
def firewall(netfilter: Netlink) -> Firewall:
    made = Firewall(netfilter, "0123456789ab", [HOME])
    made.install()
    return made


def test_what_nft_reads(firewall: Firewall) -> None:
    firewall.add([WEB, NAMES, WEB6, NAMES6, OPEN, PROXIED])
    text = ruleset()
    for line in (
        'elements = { "sampan0" }',
        "elements = { 172.17.0.0/16 }",
        "elements = { tcp . 8080 : 172.17.0.2 . 80 }",
        "elements = { udp . 127.0.0.1 . 53 : 172.17.0.2 . 5353 }",
        "dnat ip to meta l4proto . ip daddr . th dport map @ports",
        "dnat ip to meta l4proto . th dport map @ports_anywhere",
        "fib daddr type local jump published",
        'iifname != "lo" ip daddr 127.0.0.0/8 drop',
        'iifname != "lo" ip saddr 127.0.0.0/8 drop',
        'iifname != "lo" iifname != @bridges ip daddr @closed fib daddr type != local drop',
        "ct state established,related accept",
        "ct status dnat accept",
        "oifname != @bridges ip saddr @masqueraded masquerade",
        "iifname @internal iifname . oifname != @within drop",
        "iifname . oifname @neighbours accept",
        f"table ip6 {TABLE}",
        "elements = { fd11::/64 }",
        "elements = { tcp . 8080 : fd11::2 . 80 }",
        "elements = { udp . fd99::1 . 53 : fd11::2 . 5353 }",
        "elements = { 172.17.0.2 . tcp . 81 }",
        "dnat ip6 to meta l4proto . ip6 daddr . th dport map @ports",
        "dnat ip6 to meta l4proto . th dport map @ports_anywhere",
        "ip6 saddr fe80::/10 return",
        "ip6 saddr ::1 return",
        'iifname != "lo" ip6 daddr ::1 drop',
        'iifname != "lo" iifname != @bridges ip6 daddr @closed fib daddr type != local drop',
        "oifname != @bridges ip6 saddr @masqueraded masquerade",
        "type nat hook prerouting priority dstnat; policy accept;",
        "type filter hook prerouting priority raw; policy accept;",
    ):
        assert line in text, line
    last = [chain.split("}")[0].split()[-1] for chain in text.split("chain to_containers {")[1:]]
    assert last == ["drop", "drop"]  # what nothing has accepted
    firewall.remove([WEB, WEB6])
    assert "8080" not in ruleset()
    firewall.uninstall()
    assert TABLE not in ruleset()


def test_guard_only_where_forwarding_was_off(netfilter: Netlink) -> None:
    Firewall(netfilter, "0123456789ab", [HOME], guard=True).install()
    assert 'meta iifkind != "bridge" meta oifkind != "bridge" drop' in ruleset()
    Firewall(netfilter, "0123456789ab", [HOME], guard=False).install()
    assert "iifkind" not in ruleset()


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        f"delete table ip {TABLE}",
        f"flush table ip {TABLE}",
        f"flush chain ip {TABLE} raw",
        f"flush map ip {TABLE} ports_anywhere",
        f"flush set ip {TABLE} bridges",
        f"delete table ip6 {TABLE}",
        f"flush chain ip6 {TABLE} raw",
        f"flush map ip6 {TABLE} ports",
        f"flush set ip {TABLE} opened",
    ],
)
def test_verify_puts_everything_back(firewall: Firewall, damage: str) -> None:
    firewall.add([WEB, NAMES, WEB6, NAMES6, OPEN])
    before = ruleset()
    assert not firewall.verify()
    subprocess.run(["nft", damage], check=True)
    assert ruleset() != before
    assert firewall.verify()
    assert ruleset() == before
    assert not firewall.verify()


def test_a_port_added_after_a_flush_brings_the_others_back(firewall: Firewall) -> None:
    firewall.add([WEB])
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    firewall.add([NAMES])
    text = ruleset()
    assert "tcp . 8080" in text
    assert "udp . 127.0.0.1 . 53" in text


def test_others_tables_are_left_alone(firewall: Firewall) -> None:
    subprocess.run(["nft", "add table ip mine; add chain ip mine c"], check=True)
    firewall.install()
    firewall.uninstall()
    assert "table ip mine" in ruleset()
    assert TABLE not in ruleset()


def test_a_later_daemon_inherits_ports(netfilter: Netlink, firewall: Firewall) -> None:
    firewall.add([WEB, NAMES, WEB6, NAMES6, OPEN])
    later = Firewall(netfilter, "0123456789ab", [HOME])
    assert set(later.inherit()) == {WEB, NAMES, WEB6, NAMES6, OPEN}
    before = ruleset()
    later.install()
    assert ruleset() == before


def test_two_instances_do_not_touch_each_other(netfilter: Netlink, firewall: Firewall) -> None:
    other = Firewall(netfilter, "ba9876543210", [Zone("sp12345678", "172.18.0.0/16")])
    other.install()
    firewall.add([WEB])
    other.uninstall()
    assert "tcp . 8080" in ruleset()


def test_a_batch_is_all_or_nothing(netfilter: Netlink, lab: Lab) -> None:
    family = nft.Family.IPV4
    with pytest.raises(FileNotFoundError, match="nft delete table IPV4 absent"):
        nft.commit(netfilter, [nft.table_message(family, "made"), nft.delete_table_message(family, "absent")])
    assert not nft.has_table(netfilter, family, "made")


def test_the_two_hundredth_port_costs_what_the_first_did(firewall: Firewall) -> None:
    def cost(number: int) -> float:
        started = time.perf_counter()
        firewall.add([Forward("tcp", "0.0.0.0", 10000 + number, "172.17.0.2", 80)])
        return time.perf_counter() - started

    costs = [cost(number) for number in range(200)]
    # Rules per container would make it several times; the machine's noise does not make medians of 50 double twice.
    assert statistics.median(costs[-50:]) < 4 * statistics.median(costs[:50])
    assert ruleset().count("tcp . 10") == 200


def test_ten_thousand_ports_in_one_go(firewall: Firewall) -> None:
    ports = [Forward("tcp", "0.0.0.0", number, "172.17.0.2", 80) for number in range(10000, 20000)]
    firewall.add(ports)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert firewall.verify()
    firewall.remove(ports)
    assert "172.17.0.2" not in ruleset()


def test_what_modes_put_into_sets(netfilter: Netlink) -> None:
    zones = [
        Zone("nat", "10.1.0.0/24", subnet6="fd01::/64", mode6=GatewayMode.ROUTED),
        Zone("open", "10.2.0.0/24", mode=GatewayMode.UNPROTECTED),
        Zone("routed", "10.3.0.0/24", mode=GatewayMode.ROUTED),
        Zone("alone", "10.4.0.0/24", internal=True, masquerade=False, mode=GatewayMode.ISOLATED),
    ]
    Firewall(netfilter, "0123456789ab", zones).install()

    def members(name: str, family: str = "ip") -> str:
        words = ["nft", "list", "set", family, TABLE, name]
        text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return " ".join(text.partition("elements = {")[2].partition("}")[0].split())

    assert members("closed") == "10.1.0.0/24, 10.4.0.0/24"
    assert members("masqueraded") == "10.1.0.0/24, 10.2.0.0/24"
    assert (members("unprotected"), members("routed")) == ('"open"', '"routed"')
    assert (members("subnets", "ip6"), members("closed", "ip6"), members("masqueraded", "ip6")) == ("fd01::/64", "", "")
    assert members("routed", "ip6") == '"nat"'


def test_without_ipv6_there_is_no_table_for_it(netfilter: Netlink) -> None:
    made = Firewall(netfilter, "0123456789ab", [HOME], ipv6=False)
    made.install()
    made.add([WEB, WEB6])
    assert "ip6" not in ruleset()
    assert "tcp . 8080" in ruleset()
