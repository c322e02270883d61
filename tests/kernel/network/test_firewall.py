"""The table of rules: read back by `nft`, put back when flushed, and as cheap with many ports as with few."""

import statistics
import subprocess
import time
from collections.abc import Iterator

import pytest

from sampan.kernel import nftables as nft
from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink
from sampan.network.firewall import Firewall, Forward, Zone
from tests.kernel.network.lab import Lab
from tests.requires import requires

pytestmark = requires("root", "netns", "nftables", "nft")

TABLE = "sampan-0123456789ab"
HOME = Zone("sampan0", "172.17.0.0/16")
WEB = Forward("tcp", "0.0.0.0", 8080, "172.17.0.2", 80)
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
    firewall.add([WEB, NAMES])
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
        'iifname != "lo" iifname != @bridges ip daddr @subnets fib daddr type != local drop',
        "ct state established,related accept",
        "ct status dnat accept",
        "oifname != @bridges ip saddr @masqueraded masquerade",
        "iifname @internal iifname . oifname != @within drop",
        "iifname . oifname @neighbours accept",
        "type nat hook prerouting priority dstnat; policy accept;",
        "type filter hook prerouting priority raw; policy accept;",
    ):
        assert line in text, line
    last = [chain.split("}")[0].split()[-1] for chain in text.split("chain to_containers {")[1:]]
    assert last == ["drop"]  # what nothing has accepted
    firewall.remove([WEB])
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
    ],
)
def test_verify_puts_everything_back(firewall: Firewall, damage: str) -> None:
    firewall.add([WEB, NAMES])
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


def test_a_later_daemon_inherits_ports(netfilter: Netlink, firewall: Firewall) -> None:
    firewall.add([WEB, NAMES])
    later = Firewall(netfilter, "0123456789ab", [HOME])
    assert set(later.inherit()) == {WEB, NAMES}
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
