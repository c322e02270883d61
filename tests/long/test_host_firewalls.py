"""The host's own firewall, more of it: ufw's other words and its reload, firewalld with a bus of its own.

./check long host_firewalls
"""

import socket
from collections.abc import Iterator

import pytest

from tests.daemons import running_sampan
from tests.kernel.network.firewalls import COPY, Firewalld, Outside, Ufw, Web, nft
from tests.kernel.network.lab import BRIEF, HOST, HOST6, NEIGHBOUR, NEIGHBOUR6, Container, Lab, tcp_reaches
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "ip", "ufw", "firewalld")


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.close()


@pytest.fixture
def ufw(lab: Lab) -> Iterator[Ufw]:
    made = Ufw()
    made("--force", "enable")
    yield made
    made.close()


@pytest.fixture
def firewalld(lab: Lab) -> Iterator[Firewalld]:
    made = Firewalld()
    yield made
    made.close()


@pytest.fixture
def outside(lab: Lab) -> Outside:
    return Outside(lab)


def test_who_is_not_judged(lab: Lab, ufw: Ufw) -> None:
    """The host itself, and containers: of the same network by the host's address, of another too."""
    networks = lab.open()
    web = Web(lab, networks)
    lab.create("back")
    same, other = Container(networks), Container(networks, "back")
    networks.restore()
    assert web.is_closed()
    assert tcp_reaches(lab.host, (HOST, 8080), web.server) == HOST
    assert tcp_reaches(lab.host, ("127.0.0.1", 8080), web.server) is not None
    assert tcp_reaches(same.namespace, (web.container.address, 80), web.server) == same.address
    assert tcp_reaches(same.namespace, (HOST, 8080), web.server) is not None
    assert tcp_reaches(other.namespace, (HOST, 8080), web.server) is not None


@pytest.mark.parametrize("word", ["limit", "reject"])
def test_other_words_of_ufw(lab: Lab, ufw: Ufw, word: str) -> None:
    networks = lab.open()
    web = Web(lab, networks)
    ufw(word, "8080/tcp")
    ufw("allow", "9000:9010,8443/tcp")
    ufw("logging", "high")
    networks.restore()
    if word == "reject":
        sock = lab.neighbour.socket(socket.SOCK_STREAM)
        with pytest.raises(ConnectionRefusedError):  # not silence
            sock.connect((HOST, 8080))
    else:
        assert [web.reached() for _ in range(5)] == [NEIGHBOUR] * 5
        assert any(web.is_closed() for _ in range(3))
    assert "closed" not in nft("list", "table", "ip", COPY)


def test_a_reload_leaves_everything_as_it_was(lab: Lab, ufw: Ufw, outside: Outside) -> None:
    ufw("allow", "8080")
    networks = lab.open(ipv6=True)
    web = Web(lab, networks)
    for _ in range(2):
        ufw("reload")
        networks.restore()
        assert web.reached() == NEIGHBOUR
        assert outside.reached(web.namespace)
        rules = nft("-a", "list", "ruleset")
        networks.restore()
        assert nft("-a", "list", "ruleset") == rules  # nothing is written again
        assert nft("list", "chain", "ip", "filter", "FORWARD").count("sampan0") == 4
    ufw("route", "deny", "proto", "tcp", "to", NEIGHBOUR)
    networks.restore()
    assert (
        tcp_reaches(web.namespace, (NEIGHBOUR, 7000), outside.server, patience=BRIEF) is None
    )  # what the administrator forbids is forbidden


def test_the_next_daemon_asks_as_well(lab: Lab, ufw: Ufw) -> None:
    networks = lab.open()
    web = Web(lab, networks)
    forwards = web.container.published.forwards
    networks.close()
    assert web.is_closed()
    ufw("allow", "8080")
    again = lab.open()
    again.adopt(web.container.endpoint, forwards)
    again.adopted()
    assert web.reached() == NEIGHBOUR
    ufw("deny", "8080")
    again.restore()
    assert web.is_closed()
    web.container.networks = again


def test_firewalld(lab: Lab, firewalld: Firewalld, outside: Outside) -> None:
    networks = lab.open(ipv6=True)
    web = Web(lab, networks)
    assert outside.reached(web.namespace)
    assert (web.is_closed(), web.is_closed(HOST6)) == (True, True)
    firewalld("--add-port=8080/tcp")
    networks.restore()
    assert (web.reached(), web.reached(HOST6)) == (NEIGHBOUR, NEIGHBOUR6)
    firewalld("--reload")  # and the port is forgotten: it was not --permanent
    networks.restore()
    assert (web.is_closed(), web.is_closed(HOST6)) == (True, True)
    assert outside.reached(web.namespace)
    firewalld(
        "--add-rich-rule", f'rule family="ipv4" source address="{NEIGHBOUR}" port port="8080" protocol="tcp" accept'
    )
    networks.restore()
    assert web.reached() == NEIGHBOUR
    firewalld("--panic-on")
    networks.restore()
    assert web.is_closed()
    firewalld("--panic-off")
    web.container.end()
    networks.close(remove=True)
    assert "sampan" not in nft("list", "ruleset")


def test_a_daemon_hears_of_it(lab: Lab, ufw: Ufw) -> None:
    """The daemon itself, in the lab's host: nobody tells it that ufw has changed."""
    with running_sampan() as engine:
        engine.load_busybox()
        assert engine.docker("network", "create", "back").code == 0
        web = ("run", "-d", "--net", "back", "--name", "web", "-p", "8080:80", "busybox", "httpd", "-f", "-p", "80")
        assert engine.docker(*web).code == 0
        where = "{{.NetworkSettings.Networks.back.IPAddress}}"
        address = engine.docker("inspect", "-f", where, "web").text
        other = ("run", "--rm", "--net", "back", "busybox")
        assert address in engine.docker(*other, "nslookup", "web").text
        assert (
            "404"
            in engine.docker(*other, "sh", "-c", f'printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 2 {address} 80').text
        )
        assert not _answers(lab)
        for words, open_ in (("allow", True), ("deny", False), ("allow", True)):
            ufw(words, "8080/tcp")
            eventually(lambda wanted=open_: _answers(lab) is wanted, f"ufw {words} 8080", seconds=5)  # type: ignore[misc]
        ufw("reload")
        eventually(lambda: _answers(lab), "after a reload", seconds=5)
        text = engine.sampan("network", "inspect", "--rules", "back").text
        assert "judged by a copy of: ip filter INPUT" in text
        engine.remove_containers()
    assert "sampan" not in nft("list", "ruleset")


def _answers(lab: Lab) -> bool:
    sock = lab.neighbour.socket(socket.SOCK_STREAM)
    sock.settimeout(0.3)
    try:
        sock.connect((HOST, 8080))
    except OSError:
        return False
    finally:
        sock.close()
    return True
