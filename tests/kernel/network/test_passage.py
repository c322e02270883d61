"""Hosts whose own forward chain drops: Docker's, ufw's, an administrator's."""

import shutil
import subprocess

import pytest

from tests.kernel.network.lab import BRIEF, HOST, NEIGHBOUR, Container, Lab, listening, tcp_reaches
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "ip")

# As iptables-nft writes them.
DOCKER = """
table ip filter {
    chain DOCKER-USER {
        ip saddr 192.0.2.66 counter drop
        counter return
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump DOCKER-USER
    }
}
"""
UFW = """
table ip filter {
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter log
    }
}
"""
NATIVE = """
table inet mine {
    chain through {
        type filter hook forward priority filter + 10; policy drop;
        ct state established accept
        reject
    }
}
"""
BOTH = UFW + NATIVE


def nft(*words: str, text: str | None = None) -> str:
    done = subprocess.run(["nft", *words], check=True, capture_output=True, text=True, input=text)
    return done.stdout


@pytest.mark.parametrize("rules", [DOCKER, UFW, NATIVE, BOTH], ids=["docker", "ufw", "native", "both"])
def test_both_ways_through_a_chain_that_drops(lab: Lab, rules: str) -> None:
    nft("-f", "-", text=rules)
    before = nft("-s", "list", "ruleset")
    networks = lab.open()
    container = Container(networks)
    inside, outside = listening(container.namespace, 80), listening(lab.neighbour, 7000)
    container.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) == NEIGHBOUR
    # It is still our own table that says what may reach a container.
    assert tcp_reaches(lab.neighbour, (container.address, 80), inside, patience=BRIEF) is None
    container.end()
    networks.close(remove=True)
    assert nft("-s", "list", "ruleset") == before


def test_a_chain_that_comes_later_is_noticed(lab: Lab) -> None:
    networks = lab.open()
    container = Container(networks)
    outside = listening(lab.neighbour, 7000)
    nft("-f", "-", text=UFW)
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside, patience=BRIEF) is None
    networks.restore()
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST
    rules = nft("-a", "list", "ruleset")
    networks.restore()
    assert nft("-a", "list", "ruleset") == rules  # same handles: nothing is written again


def test_the_administrator_s_lines_in_docker_user_come_first(lab: Lab) -> None:
    nft("-f", "-", text=DOCKER)
    subprocess.run(["ip", "link", "add", "docker0", "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "add", "br-lan", "type", "bridge"], check=True)
    networks = lab.open()
    chain = [line.strip() for line in nft("-s", "list", "chain", "ip", "filter", "DOCKER-USER").splitlines()[2:-2]]
    label = 'comment "sampan 0123456789ab'
    assert chain == [
        "ip saddr 192.0.2.66 counter drop",
        f'iifname "sampan0" oifname "docker0" counter return {label} sampan0 to docker0: return"',
        f'iifname "sampan0" counter accept {label} sampan0 to any: accept"',
        f'oifname "sampan0" counter accept {label} any to sampan0: accept"',
        "counter return",
    ]
    subprocess.run(["ip", "link", "add", "br-0123456789ab", "type", "bridge"], check=True)
    nft("add", "table", "ip", "dockers_own")  # Docker writes rules with each network it makes
    networks.restore()
    assert 'oifname "br-0123456789ab" counter return' in nft("-s", "list", "chain", "ip", "filter", "DOCKER-USER")


def test_a_chain_that_accepts_is_left_alone(lab: Lab) -> None:
    nft("-f", "-", text=UFW.replace("policy drop", "policy accept"))
    lab.open()
    assert "sampan 0123456789ab" not in nft("list", "table", "ip", "filter")


def test_a_chain_that_stops_dropping_gets_its_rules_back(lab: Lab) -> None:
    nft("-f", "-", text=UFW)
    networks = lab.open()
    assert "sampan 0123456789ab" in nft("list", "table", "ip", "filter")
    nft("add", "chain", "ip", "filter", "FORWARD", "{ policy accept; }")
    networks.restore()
    assert "sampan 0123456789ab" not in nft("list", "table", "ip", "filter")


@pytest.mark.parametrize(("policy", "told"), [("DROP", True), ("ACCEPT", False)])
def test_rules_of_iptables_legacy_are_noticed(
    lab: Lab, policy: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    legacy = shutil.which("iptables-legacy", path="/usr/sbin:/sbin")
    if legacy is None:
        pytest.skip("iptables-legacy is not installed")
    if subprocess.run([legacy, "-P", "FORWARD", policy], check=False, capture_output=True).returncode != 0:
        pytest.skip("this kernel has no ip_tables")
    subprocess.run([legacy, "-A", "INPUT", "-s", "192.0.2.66", "-j", "DROP"], check=True)
    networks = lab.open()
    assert ("iptables-legacy -I FORWARD -i sampan0 -j ACCEPT" in caplog.text) == told
    if told:
        container = Container(networks)
        outside = listening(lab.neighbour, 7000)
        assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside, patience=BRIEF) is None
        for direction in ("-i", "-o"):
            subprocess.run([legacy, "-I", "FORWARD", direction, "sampan0", "-j", "ACCEPT"], check=True)
        assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST
