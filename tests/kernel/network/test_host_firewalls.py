"""The host's own firewall: containers reach out through it, and it judges what is published.

ufw is the real one, in the test's network namespace (`firewalls`); the neighbour on the wire is the outside. More of ufw, and
firewalld, which take their time: tests/long/test_host_firewalls.py.
"""

from collections.abc import Iterator

import pytest

from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink, be32
from sampan.kernel.nftables import Family, Hook, Verdict, base_chain_message, commit, rule_message, table_message
from sampan.kernel.nftables_rules import verdict
from tests.kernel.network.firewalls import COPY, Outside, Ufw, Web, nft
from tests.kernel.network.lab import BRIEF, HOST, HOST6, NEIGHBOUR, NEIGHBOUR6, Container, Lab, listening, tcp_reaches
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "ip")
with_ufw = requires("ufw")


@pytest.fixture
def outside(lab: Lab) -> Outside:
    return Outside(lab)


@pytest.fixture
def ufw(lab: Lab) -> Iterator[Ufw]:
    made = Ufw()
    made("--force", "enable")
    yield made
    made.close()


@with_ufw
def test_ufw_judges_what_is_published(lab: Lab, ufw: Ufw, outside: Outside) -> None:
    networks = lab.open(ipv6=True)
    web = Web(lab, networks)
    assert outside.reached(web.namespace)
    assert (web.is_closed(), web.is_closed(HOST6)) == (True, True)  # what ufw does not allow is closed
    ufw("allow", "8080")
    networks.restore()
    assert (web.reached(), web.reached(HOST6)) == (NEIGHBOUR, NEIGHBOUR6)
    ufw("deny", "8080")
    networks.restore()
    assert (web.is_closed(), web.is_closed(HOST6)) == (True, True)
    ufw("allow", "from", NEIGHBOUR, "to", "any", "port", "8080", "proto", "tcp")
    ufw("delete", "deny", "8080")
    networks.restore()
    assert (web.reached(), web.is_closed(HOST6)) == (NEIGHBOUR, True)
    ufw("disable")
    networks.restore()
    assert web.reached() == NEIGHBOUR
    assert COPY not in nft("list", "tables")


@with_ufw
def test_published_means_open(lab: Lab, ufw: Ufw) -> None:
    networks = lab.open(judged=False)
    web = Web(lab, networks)
    assert web.reached() == NEIGHBOUR
    assert COPY not in nft("list", "tables")


@with_ufw
def test_nothing_stays(lab: Lab, ufw: Ufw) -> None:
    ufw("allow", "8080")
    before = nft("-s", "list", "ruleset")
    networks = lab.open(ipv6=True)
    web = Web(lab, networks)
    assert web.reached() == NEIGHBOUR
    web.container.end()
    networks.close(remove=True)
    assert nft("-s", "list", "ruleset") == before
    ufw("status")


def test_an_administrator_s_rules(lab: Lab) -> None:
    """nftables.conf with sets, maps of verdicts, objects and dynamic sets; each as the host's own service would see it."""
    nft(
        "-f",
        "-",
        text="""
        table inet filter {
            counter seen {
            }
            set friends {
                type ipv4_addr; flags interval; elements = { 10.99.0.0/30 }
            }
            set callers {
                type ipv4_addr; flags dynamic, timeout; timeout 1m
            }
            map by_port {
                type inet_service : verdict; elements = { 8080 : jump web, 22 : accept }
            }
            chain web {
                ip saddr @friends add @callers { ip saddr limit rate 100/second } counter name seen accept
            }
            chain input {
                type filter hook input priority filter; policy drop;
                ct state vmap { established : accept, related : accept, invalid : drop }
                meta l4proto { icmp, ipv6-icmp } accept
                tcp dport vmap @by_port
            }
        }""",
    )
    networks = lab.open(ipv6=True)
    web = Web(lab, networks)
    assert (web.reached(), web.is_closed(HOST6)) == (NEIGHBOUR, True)
    nft("delete", "element", "inet", "filter", "friends", "{ 10.99.0.0/30 }")
    networks.restore()
    assert web.is_closed()
    nft("add", "element", "inet", "filter", "friends", f"{{ {NEIGHBOUR}/32 }}")
    networks.restore()
    assert web.reached() == NEIGHBOUR
    nft("delete", "table", "inet", COPY)
    networks.restore()
    assert COPY in nft("list", "ruleset")
    # Ports that come and go afterwards are judged as well.
    second = Container(networks)
    server = listening(second.namespace, 81)
    second.publish(tcp81=f"{HOST}:8081")
    assert tcp_reaches(lab.neighbour, (HOST, 8081), server, patience=BRIEF) is None
    nft("add", "element", "inet", "filter", "by_port", "{ 8081 : accept }")
    networks.restore()
    assert tcp_reaches(lab.neighbour, (HOST, 8081), server) == NEIGHBOUR
    second.end()
    assert "8081" not in nft("list", "set", "inet", COPY, "named-ipv4")


def test_what_cannot_be_copied_closes(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    nft(
        "-f",
        "-",
        text="""
        table ip filter {
            quota most {
                over 10 mbytes
            }
            chain input {
                type filter hook input priority filter; policy accept; quota name "most" drop
            }
        }""",
    )
    networks = lab.open()
    web = Web(lab, networks)
    assert web.is_closed()
    assert tcp_reaches(lab.host, (HOST, 8080), web.server) == HOST
    assert '"published-ports": "open"' in caplog.text
    nft("flush", "chain", "ip", "filter", "input")
    networks.restore()
    assert web.reached() == NEIGHBOUR


def test_behind_the_rules_of_a_docker_that_runs(lab: Lab) -> None:
    """Its own chains say nothing of input; where it has a ufw beside it both hold."""
    nft(
        "-f",
        "-",
        text="""
        table ip filter {
            chain DOCKER-USER { counter return; }
            chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; }
            chain INPUT { type filter hook input priority filter; policy drop; tcp dport 22 accept; }
        }""",
    )
    networks = lab.open()
    web = Web(lab, networks)
    assert web.is_closed()
    nft("add", "rule", "ip", "filter", "INPUT", "tcp", "dport", "8080", "accept")
    networks.restore()
    assert web.reached() == NEIGHBOUR
    outside = listening(lab.neighbour, 7000)
    assert tcp_reaches(web.namespace, (NEIGHBOUR, 7000), outside) == HOST


def test_a_chain_that_rejects_at_its_end(lab: Lab) -> None:
    nft(
        "-f",
        "-",
        text="""
        table inet mine {
            chain through { type filter hook forward priority filter + 10; policy accept; ct state established accept;
                counter reject; }
        }""",
    )
    networks = lab.open()
    container = Container(networks)
    outside = listening(lab.neighbour, 7000)
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST
    assert nft("list", "chain", "inet", "mine", "through").count("sampan0") == 4


def test_a_table_that_somebody_owns(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """firewalld since 2.1: nobody else may write into it. The daemon says what to do, and goes on."""
    with Netlink(NETLINK_NETFILTER) as owner:
        kind, flags, body, what = table_message(Family.INET, "firewalld")
        table = (kind, flags, body + be32(2, 2), what)  # NFT_TABLE_F_OWNER
        forward = base_chain_message(Family.INET, "firewalld", "filter_FORWARD", "filter", Hook.FORWARD, 10)
        forbidden = rule_message(Family.INET, "firewalld", "filter_FORWARD", [verdict(Verdict.DROP)])
        incoming = base_chain_message(Family.INET, "firewalld", "filter_INPUT", "filter", Hook.INPUT, 10)
        closed = rule_message(Family.INET, "firewalld", "filter_INPUT", [verdict(Verdict.DROP)])
        commit(owner, [table, forward, forbidden, incoming, closed])
        networks = lab.open()
        assert "firewall-cmd --permanent --zone=trusted --add-interface=sampan0" in caplog.text
        networks.restore()
        assert caplog.text.count("--zone=trusted") == 1
        assert Web(lab, networks).is_closed()
        assert networks.rules(networks.find("bridge"), {}).drift == ()
        networks.close(remove=True)
