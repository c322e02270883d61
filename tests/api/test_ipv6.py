"""Networks with IPv6, with real containers and the real `docker` command."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_names import resolvers
from tests.api.test_networks import SLEEP, ends, inside, ok, refused, run
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables")


@pytest.fixture(autouse=True)
def _containers_and_networks_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))


def create(engine: Sampan, name: str, *flags: str) -> None:
    ok(engine.docker("network", "create", *flags, name))


def reaches6(engine: Sampan, name: str, address: str) -> bool:
    return inside(engine, name, "ping", "-6", "-c1", "-W2", address).code == 0


def test_a_network_and_what_inspect_shows(engine: Sampan) -> None:
    create(engine, "six", "--ipv6", "--subnet", "fd61::/64", "--subnet", "10.61.0.0/24", "--gateway", "fd61::9")
    shown = json.loads(ok(engine.docker("network", "inspect", "six")))[0]
    assert (shown["EnableIPv4"], shown["EnableIPv6"]) == (True, True)
    assert shown["IPAM"]["Config"] == [{"Subnet": "10.61.0.0/24"}, {"Subnet": "fd61::/64", "Gateway": "fd61::9"}]
    run(engine, "one", "--network", "six", "--hostname", "host1")
    run(engine, "two", "--network", "six", "--ip6", "fd61::77", "--link-local-ip", "fe80::4242")
    end = ends(engine, "two")["six"]
    assert (end["GlobalIPv6Address"], end["GlobalIPv6PrefixLen"], end["IPv6Gateway"]) == ("fd61::77", 64, "fd61::9")
    assert (end["IPAddress"], end["Gateway"]) == ("10.61.0.3", "10.61.0.1")
    members = json.loads(ok(engine.docker("network", "inspect", "six")))[0]["Containers"]
    assert sorted(one["IPv6Address"] for one in members.values()) == ["fd61::1/64", "fd61::77/64"]
    assert reaches6(engine, "one", "fd61::77")
    addresses = ok(inside(engine, "two", "ip", "-6", "address", "show", "eth0"))
    assert "fd61::77/64" in addresses
    assert "fe80::4242/64" in addresses
    assert "tentative" not in addresses
    assert "default via fd61::9" in ok(inside(engine, "two", "ip", "-6", "route"))
    lines = ok(inside(engine, "one", "cat", "/etc/hosts")).splitlines()
    assert lines[-2:] == ["10.61.0.2\thost1", "fd61::1\thost1"]


def test_names_in_both_families(engine: Sampan) -> None:
    create(engine, "six", "--ipv6", "--subnet", "fd62::/64", "--subnet", "10.62.0.0/24")
    create(engine, "four", "--subnet", "10.63.0.0/24")
    run(engine, "one", "--network", "six")
    run(engine, "asker", "--network", "six", "--network", "four")
    run(engine, "old", "--network", "four")

    def answers(name: str, kind: str) -> list[str]:
        found = inside(engine, "asker", "nslookup", f"-type={kind}", name, "127.0.0.11")
        text = found.out.decode().partition("\n\n")[2]
        return [line.split()[-1] for line in text.splitlines() if line.startswith("Address") or "name =" in line]

    assert answers("one", "aaaa") == ["fd62::2"]
    assert answers("one", "a") == ["10.62.0.2"]
    assert answers("old", "a") == ["10.63.0.3"]
    # Known in one family: nobody else is asked, and it is no error.
    known = inside(engine, "asker", "nslookup", "-type=aaaa", "old", "127.0.0.11")
    assert b"NXDOMAIN" not in known.out
    assert answers("old", "aaaa") == []
    reverse = ".".join(reversed("fd620000000000000000000000000002")) + ".ip6.arpa"
    assert answers(reverse, "ptr") == ["one.six"]


def test_ipv6_alone_and_connected_while_it_runs(engine: Sampan) -> None:
    create(engine, "six", "--ipv6", "--ipv4=false", "--subnet", "fd64::/64")
    create(engine, "four", "--subnet", "10.64.0.0/24")
    run(engine, "one", "--network", "six")
    run(engine, "two", "--network", "four")
    assert (ends(engine, "one")["six"]["IPAddress"], ends(engine, "one")["six"]["Gateway"]) == ("", "")
    assert not reaches6(engine, "two", "fd64::2")
    ok(engine.docker("network", "connect", "--ip6", "fd64::99", "six", "two"))
    assert reaches6(engine, "two", "fd64::2")
    assert "default via fd64::1" in ok(inside(engine, "two", "ip", "-6", "route"))
    assert "default via 10.64.0.1" in ok(inside(engine, "two", "ip", "route"))
    assert ends(engine, "two")["six"]["GlobalIPv6Address"] == "fd64::99"
    ok(engine.docker("network", "disconnect", "six", "two"))
    assert "default" not in ok(inside(engine, "two", "ip", "-6", "route"))
    assert "default via 10.64.0.1" in ok(inside(engine, "two", "ip", "route"))


def test_everything_outlives_the_daemon(engine: Sampan) -> None:
    create(engine, "six", "--ipv6", "--subnet", "fd65::/64", "--subnet", "10.65.0.0/24")
    run(engine, "one", "--network", "six", "-p", "80")
    before = ends(engine, "one"), ok(engine.docker("port", "one"))
    ports = [line.rpartition(":") for line in before[1].splitlines()]
    assert [host.split(" -> ")[1] for host, _, _ in ports] == ["0.0.0.0", "[::]"]
    assert len({number for _, _, number in ports}) == 1
    engine.kill()
    engine.start()
    assert (ends(engine, "one"), ok(engine.docker("port", "one"))) == before
    run(engine, "two", "--network", "six")
    assert ends(engine, "two")["six"]["GlobalIPv6Address"] == "fd65::3"
    assert reaches6(engine, "two", "fd65::2")


def test_interface_names_and_settings(engine: Sampan) -> None:
    create(engine, "lan", "-o", "com.docker.network.container_iface_prefix=lan", "--subnet", "10.66.0.0/24")
    create(engine, "back", "--subnet", "10.67.0.0/24")
    sysctls = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    named = "com.docker.network.endpoint.ifname=uplink"
    run(
        engine,
        "one",
        *("--network", f"name=lan,driver-opt={sysctls}"),
        *("--network", f"name=back,driver-opt={named}"),
    )
    found = ok(inside(engine, "one", "ls", "/sys/class/net")).split()
    assert sorted(found) == ["lan0", "lo", "uplink"]
    assert ok(inside(engine, "one", "cat", "/proc/sys/net/ipv4/conf/lan0/log_martians")) == "1"
    assert set(json.loads(engine.api("GET", "/containers/one/stats?stream=false").body)["networks"]) == {
        "lan0",
        "uplink",
    }
    wrong = "com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.log_martians=1"
    told = refused(engine.docker("run", "--rm", "--network", f"name=lan,driver-opt={wrong}", *SLEEP))
    assert "unrecognised network interface sysctl" in told


def test_a_configuration_and_networks_after_it(engine: Sampan) -> None:
    create(
        engine, "plan", "--config-only", "--ipv6", "--subnet", "fd68::/64", "--subnet", "10.68.0.0/24", "--label", "a=b"
    )
    shown = json.loads(ok(engine.docker("network", "inspect", "plan")))[0]
    assert (shown["Driver"], shown["ConfigOnly"], shown["Scope"]) == ("null", True, "local")
    create(engine, "made", "--config-from", "plan")
    shown = json.loads(ok(engine.docker("network", "inspect", "made")))[0]
    assert (shown["ConfigFrom"], shown["Labels"], shown["EnableIPv6"]) == ({"Network": "plan"}, {"a": "b"}, True)
    assert [pool["Subnet"] for pool in shown["IPAM"]["Config"]] == ["10.68.0.0/24", "fd68::/64"]
    assert 'configuration network "plan" is in use' in refused(engine.docker("network", "rm", "plan"))
    run(engine, "one", "--network", "made")
    assert ends(engine, "one")["made"]["GlobalIPv6Address"] == "fd68::2"
    told = refused(engine.docker("run", "--rm", "--network", "plan", *SLEEP))
    assert "configuration-only network" in told
    engine.kill()
    engine.start()
    ok(engine.docker("rm", "-f", "one"))
    ok(engine.docker("network", "rm", "made"))
    ok(engine.docker("network", "rm", "plan"))


def test_routed(engine: Sampan) -> None:
    create(
        engine, "open", "--ipv6", "--subnet", "fd69::/64", "-o", "com.docker.network.bridge.gateway_mode_ipv6=routed"
    )
    run(engine, "one", "--network", "open", "-p", "8069:80")
    ports = json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", "one")))
    assert ports == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8069"}, {"HostIp": "::", "HostPort": ""}]}
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "fd69::2 . tcp . 80" in rules


def test_callers_that_no_rule_can_serve(engine: Sampan) -> None:
    """`localhost` by IPv6, and IPv6 callers of a container that has IPv4 alone: proxied, also after deaths."""
    create(engine, "six", "--ipv6", "--subnet", "fd70::/64")
    script = "while true; do echo hello | nc -l -p 80; done"
    for name, flags in (("four", ()), ("six", ("--network", "six"))):
        ok(engine.docker("run", "-d", "--name", name, "-p", "80", *flags, "busybox", "sh", "-c", script))
    numbers = {name: int(ok(engine.docker("port", name)).rpartition(":")[2]) for name in ("four", "six")}

    def asked() -> dict[str, bytes]:
        return {name: _ask("::1", number) for name, number in numbers.items()}

    assert asked() == {"four": b"hello\n", "six": b"hello\n"}
    engine.kill()
    engine.start()
    assert asked() == {"four": b"hello\n", "six": b"hello\n"}
    _kill_net(engine)
    assert asked() == {"four": b"hello\n", "six": b"hello\n"}
    ok(engine.docker("rm", "-f", "four"))
    with pytest.raises(OSError, match="refused"):
        _ask("::1", numbers["four"])
    # At once the next one's.
    again = f"{numbers['four']}:80"
    ok(engine.docker("run", "-d", "--name", "next", "-p", again, "busybox", "sh", "-c", script))
    assert _ask("::1", numbers["four"]) == b"hello\n"


def _ask(address: str, port: int) -> bytes:
    """What the other side says before it closes; its program may not be there yet, and then closes with nothing."""
    deadline = time.monotonic() + 20
    while True:
        with socket.create_connection((address, port), timeout=20) as sock:
            try:
                answer = b"".join(iter(lambda: sock.recv(100), b""))
            except ConnectionResetError:
                answer = b""
        if answer or time.monotonic() > deadline:
            return answer


def _kill_net(engine: Sampan) -> None:
    before = resolvers(engine)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: resolvers(engine) not in ([], before), "no other sampan-net")


def test_the_default_bridge(tmp_path: Path) -> None:
    """From daemon.json: IPv6, gateways, options for new networks; containers of warm slots and of cold starts."""
    settings = {
        "ipv6": True,
        "fixed-cidr-v6": "fd71::/64",
        "bip": "10.71.0.1/24",
        "fixed-cidr": "10.71.0.128/25",
        "default-address-pools": [{"base": "10.72.0.0/16", "size": 24}, {"base": "fd72::/56", "size": 64}],
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
        "userland-proxy": False,
    }
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(settings))
    with running_sampan("--config-file", str(path)) as engine:
        engine.load_busybox()
        shown = json.loads(ok(engine.docker("network", "inspect", "bridge")))[0]
        assert shown["EnableIPv6"] is True
        assert [pool["Subnet"] for pool in shown["IPAM"]["Config"]] == ["10.71.0.0/24", "fd71::/64"]
        for number, name in enumerate(("one", "two", "three")):
            run(engine, name, "-p", "80")
            found = json.loads(ok(engine.docker("inspect", "-f", "{{json .NetworkSettings}}", name)))
            assert found["GlobalIPv6Address"] == f"fd71::{number + 2}"
            assert (found["GlobalIPv6PrefixLen"], found["IPv6Gateway"]) == (64, "fd71::1")
            assert found["IPAddress"] == f"10.71.0.{number + 128}"
            assert [binding["HostIp"] for binding in found["Ports"]["80/tcp"]] == ["0.0.0.0", "::"]
            addresses = ok(inside(engine, name, "ip", "-6", "address", "show", "eth0"))
            assert f"fd71::{number + 2}/64" in addresses
            assert "tentative" not in addresses
            assert reaches6(engine, name, "fd71::1")
        assert reaches6(engine, "three", "fd71::2")
        create(engine, "more", "--ipv6")
        shown = json.loads(ok(engine.docker("network", "inspect", "more")))[0]
        assert [pool["Subnet"] for pool in shown["IPAM"]["Config"]] == ["10.72.0.0/24", "fd72::/64"]
        assert shown["Options"] == {"com.docker.network.driver.mtu": "1400"}
        run(engine, "four", "--network", "more")
        assert "mtu 1400" in ok(inside(engine, "four", "ip", "link", "show", "eth0"))
        # Nobody proxies: a container without IPv6 has no port there.
        create(engine, "plain")
        run(engine, "five", "--network", "plain", "-p", "80")
        assert "[::]" not in ok(engine.docker("port", "five"))
        engine.remove_containers()
        ok(engine.docker("network", "prune", "-f"))
