"""Networks and ports beside Docker 28: what inspect, `docker port` and refusals say of IPv6, gateway modes, macvlan."""

import difflib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemons import Daemon, running_sampan
from tests.long.newest import running_newest_docker
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox", "docker-client:28")

_NAT = "com.docker.network.bridge.gateway_mode_ipv"
_MTU = "com.docker.network.driver.mtu"
_WIRE = ("spwire0", "spwire1")
"""Links of each engine's host, to stand on."""
_PART = "--ip-range 10.74.0.128/25 --aux-address a=10.74.0.129 --gateway 10.74.0.9"
_BOTH = "--subnet 10.72.0.0/24 --subnet fd72::/64"
_ON = f"-o parent={_WIRE[0]}"
_SECOND = "--subnet 10.72.0.0/24 --gateway 10.72.0.9"
_SLEEP = "busybox sleep 1000"
SCENES: dict[str, tuple[str, ...]] = {
    "two families": (
        "network create --ipv6 --subnet 10.61.0.0/24 --subnet fd61::/64 --ip-range fd61::8000/113 --label a=b net",
        f"run -d --name one --network net -p 80 -p 8061:81/udp -p [::1]:8062:82 {_SLEEP}",
        f"run -d --name two --network net --ip 10.61.0.9 --ip6 fd61::9 --link-local-ip fe80::99 {_SLEEP}",
    ),
    "IPv6 alone": (
        "network create --ipv6 --ipv4=false --subnet fd62::/64 --gateway fd62::7 net",
        f"run -d --name one --network net -p 8063:80 -p 127.0.0.1:8064:81 {_SLEEP}",
    ),
    "routed": (
        f"network create --ipv6 --subnet fd63::/64 --subnet 10.63.0.0/24 -o {_NAT}6=routed -o {_NAT}4=nat-unprotected net",
        f"run -d --name one --network net -p 8065:80 -p [::1]:8066:81 {_SLEEP}",
    ),
    "isolated": (
        f"network create --internal --ipv6 --subnet fd64::/64 --subnet 10.64.0.0/24 -o {_NAT}6=isolated -o {_NAT}4=isolated net",
        f"run -d --name one --network net -p 8067:80 {_SLEEP}",
    ),
    "a configuration": (
        "network create --config-only --ipv6 --subnet fd65::/64 --subnet 10.65.0.0/24 --label a=b plan",
        "network create --config-from plan net",
        f"run -d --name one --network net {_SLEEP}",
        "network rm plan",
        f"run -d --name two --network plan {_SLEEP}",
        "network create --config-from nowhere other",
        "network create --config-from plan --label c=d other",
        "network create --config-only --internal other",
    ),
    "several networks": (
        "network create --subnet 10.66.0.0/24 net",
        "network create --ipv6 --subnet fd67::/64 --subnet 10.67.0.0/24 zet",
        "network create --internal --subnet 10.68.0.0/24 inner",
        f"run -d --name one --network net --network zet --network inner -p 8068:80 {_SLEEP}",
        "exec one ip route show default",
        "exec one ip -6 route show default",
        "network disconnect zet one",
        "exec one ip route show default",
        "network connect --gw-priority 5 zet one",
        "exec one ip route show default",
    ),
    "on a link of the host": (
        f"network create -d macvlan {_ON} --subnet 10.71.0.0/24 net",
        f"network create -d macvlan {_ON} -o macvlan_mode=private -o {_MTU}=1300 --ipv6 {_BOTH} zet",
        f"network create -d macvlan {_ON} --internal --subnet 10.73.0.0/24 inner",
        f"network create -d macvlan {_ON} --subnet 10.74.0.0/24 {_PART} part",
        f"network create -d macvlan {_ON} --ipv4=false bare",
        f"run -d --name one --network net -p 8071:80 --expose 90 {_SLEEP}",
        f"run -d --name two --network zet {_SLEEP}",
        f"run -d --name three --network inner {_SLEEP}",
        f"run -d --name four --network part {_SLEEP}",
        f"run -d --name five --network bare {_SLEEP}",
        f"run -d --name six --network net --ip 10.71.0.77 --mac-address 02:00:00:00:00:07 {_SLEEP}",
        "network create --subnet 10.75.0.0/24 alike",
        f"run -d --name seven --network net --network alike -p 8072:80 {_SLEEP}",
        "exec two ip -6 route show default",
        "exec three ip route",
        "exec five ip -o address show eth0",
        "network connect alike one",
        "exec one ip route show default",
        "network disconnect alike one",
        "exec one ip route show default",
    ),
    "refusals on a link of the host": (
        f"network create -d macvlan {_ON} --subnet 10.71.0.0/24 net",
        f"network create -d macvlan {_ON} -o macvlan_mode=loud x",
        "network create -d macvlan -o parent=lo x",
        "network create -d macvlan -o parent=nowhere x",
        f"network create -d macvlan {_ON}.x x",
        f"network create -d macvlan {_ON}.5000 x",
        "network create -d macvlan -o parent=nope.5 x",
        f"network create -d macvlan {_ON}.5.5 x",
        "network create -d macvlan -o parent=spwire1 --subnet 10.76.0.0/24 -o macvlan_mode=passthru pass",
        f"run -d --name one --network pass {_SLEEP}",
        f"run -d --name two --network pass {_SLEEP}",
        "rm -f two",
        f"network create -d ipvlan {_ON} --subnet 10.72.0.0/24 zet",
        f"network create -d ipvlan {_ON} --subnet 10.73.0.0/24 x",
        "network create -d ipvlan -o parent=spwire1 -o ipvlan_mode=l9 x",
        "network create -d ipvlan -o parent=spwire1 -o ipvlan_flag=l9 x",
        "network create -d ipvlan -o parent=spwire1 -o ipvlan_mode=l3 --subnet 10.74.0.0/24 part",
        f"run -d --name three --network zet --mac-address 02:00:00:00:00:08 {_SLEEP}",
        "rm -f three",
        f"run -d --name four --network net --ip 10.99.0.77 {_SLEEP}",
    ),
    "refusals": (
        "network create --ipv6 --subnet fd69::1/64 net",
        "network create --ipv6 --subnet ff02::/64 net",
        "network create --ipv6 --subnet fd69::/64 --gateway 10.0.0.1 net",
        "network create --ipv4=false net",
        f"network create -o {_NAT}6=loud net",
        f"network create -o {_NAT}4=isolated net",
        "network create -o com.docker.network.bridge.enable_icc=x net",
        "network create --subnet 10.69.0.0/24 net",
        f"run -d --name one --network net --ip6 fd69::2 {_SLEEP}",
        f"run -d --name two --network net --ip 10.70.0.2 {_SLEEP}",
        f"run -d --name three --network name=net,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.x=1 {_SLEEP}",
        f"run -d --name four --network net -p [::]:8069:80 {_SLEEP}",
        f"run -d --name five --network net -p [::1]:8069:80 {_SLEEP}",
        f"run -d --name six --network net -p 8069:80 {_SLEEP}",
        f"run -d --name seven --network net -p 8069:80/sctp --expose 81/sctp {_SLEEP}",
        "create --name eight -p 82/sctp busybox",
    ),
}
SCENES["several subnets on a link of the host"] = (
    f"network create -d macvlan {_ON} --subnet 10.71.0.0/24 --gateway 10.71.0.5 {_SECOND} net",
    f"network create -d macvlan {_ON} --ipv6 {_BOTH.replace('10.72', '10.73')} --subnet fd73::/64 --aux-address a=fd73::5 zet",
    f"network create -d macvlan {_ON} --subnet 10.75.0.0/16 --subnet 10.75.1.0/24 inner",
    "network create --subnet 10.76.0.0/24 --subnet 10.77.0.0/24 alike",
    "network create --config-only --subnet 10.76.0.0/24 --subnet 10.77.0.0/24 plan",
    "network create --config-from plan alike",
    # The command sends subnets in any order: only chosen addresses are the same each time.
    f"run -d --name c0 --network net --ip 10.71.0.9 {_SLEEP}",
    f"run -d --name one --network net --ip 10.72.0.77 {_SLEEP}",
    f"run -d --name two --network net --ip 10.99.0.77 {_SLEEP}",
    "rm -f two",
    f"run -d --name three --network zet --ip6 fd73::77 {_SLEEP}",
    "exec c0 ip route show default",
    "exec one ip route show default",
    "exec three ip -6 route show default",
)
SCENES["options of end points"] = (
    "network create --subnet 10.71.0.0/24 net",
    *(
        f"run -d --name {name} --network name=net,driver-opt=com.docker.network.{key}=x -p 80 {_SLEEP}"
        for name, key in (
            ("one", "endpoint.exposedports"),
            ("two", "portmap"),
            ("three", "endpoint.macaddress"),
            ("four", "driver.private.no_proxy_6to4"),
            ("five", "whatever"),
        )
    ),
    "network create --subnet 10.72.0.0/24 zet",
    f"run -d --name six --network zet -p 80 {_SLEEP}",
    "network connect --driver-opt com.docker.network.endpoint.whatever=x net six",
)
SCENES["bad addresses"] = (
    "network create --subnet 10.71.0.0/24 --gateway 10.71.0.0 net",
    "network create --subnet 10.71.0.0/24 --gateway 10.71.0.255 net",
    "network create --subnet 10.71.0.0/24 --gateway 10.71.0.1 --aux-address a=10.71.0.1 net",
    "network create --subnet 10.71.0.0/24 --aux-address a=10.72.0.1 net",
    "network create --subnet 10.71.0.0/24 --ip-range 10.72.0.0/25 net",
    "network create --subnet x net",
    "network create --subnet 10.71.0.0/24 net",
    "network create --subnet 10.71.0.128/25 other",
    "network create net",
    "network create -d nope other",
    "network create -o com.docker.network.driver.mtu=x other",
    "network create -o com.docker.network.driver.mtu=-1 other",
    "network create -o com.docker.network.bridge.inhibit_ipv4=x other",
    "network create -o com.docker.network.host_ipv4=x other",
    "network create -o com.docker.network.whatever=x --subnet 10.75.0.0/24 zet",
    f"run -d --name one --network zet {_SLEEP}",
    "network connect --ip 10.71.0.0 net one",
    "network connect --ip 10.71.0.255 net one",
    "network connect --ip 10.71.0.1 net one",
    "network connect --ip 10.72.0.1 net one",
    "network connect --driver-opt com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.x=1 net one",
    "network connect net nobody",
    "network connect nowhere one",
    "network disconnect net one",
    "network ls --filter dangling=x",
    "network ls --filter type=x",
    "network ls --filter nope=x",
    "network prune -f --filter until=x",
    "network rm bridge",
    "network connect net one",
    "network rm net",
)
SCENES["the host's address"] = (
    "network create --subnet 10.74.0.0/24 net",
    "network create --internal --subnet 10.76.0.0/24 inner",
    "run --rm --network net --add-host up:host-gateway busybox grep -c up$ /etc/hosts",
    "run --rm --network inner --add-host up:host-gateway busybox grep -c up$ /etc/hosts",
    "run --rm --network none --add-host up:host-gateway busybox grep -c up$ /etc/hosts",
    "run --rm --network host --add-host up:host-gateway busybox grep -c up$ /etc/hosts",
    f"network create --subnet 10.73.0.0/24 -o {_NAT}4=nat -o com.docker.network.bridge.inhibit_ipv4=true zet",
    f"run -d --name one --network zet -p 8070:80 {_SLEEP}",
    "exec one ip route show default",
)
_SHOWN = "{{json .NetworkSettings}}"
_VOLATILE = (
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b"), "MAC"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)"), "MOMENT"),
    (re.compile(r'"SandboxKey": "[^"]*"'), '"SandboxKey"'),
    (re.compile(r"\beth[0-9]\b"), "ethN"),  # Docker numbers those of a start in any order
    (re.compile(r"\b3[0-9]{4}\b|\b[456][0-9]{4}\b"), "RANDOM"),
)


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Daemon, Daemon]]:
    with running_sampan() as sampan, running_newest_docker() as docker:
        for engine in (sampan, docker):
            engine.load_busybox()
            _in_its_network(engine, "ip", "link", "add", _WIRE[0], "type", "veth", "peer", "name", _WIRE[1])
            for name in _WIRE:
                _in_its_network(engine, "ip", "link", "set", name, "up")
        yield sampan, docker
        for engine in (sampan, docker):
            _in_its_network(engine, "ip", "link", "delete", _WIRE[0])


def _in_its_network(engine: Daemon, *words: str) -> None:
    assert engine.process is not None
    subprocess.run(["nsenter", f"--net=/proc/{engine.process.pid}/ns/net", *words], check=True)


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_is_said(scene: str, engines: tuple[Daemon, Daemon]) -> None:
    ours, theirs = (played(engine, SCENES[scene]) for engine in engines)
    assert ours == theirs, "\n".join(difflib.unified_diff(theirs, ours, "docker", "sampan", lineterm="", n=3))


def played(engine: Daemon, steps: tuple[str, ...]) -> list[str]:
    """What each step answers, and what there is at the end, without what differs from run to run."""
    seen: list[str] = []
    try:
        for step in steps:
            done = engine.docker(*shlex.split(step))
            seen += [f"$ {step}: {done.code}", *_plain((done.out + done.err).decode()).splitlines()]
        for name in sorted(engine.docker("ps", "--format", "{{.Names}}").out.decode().split()):
            found = json.loads(engine.docker("inspect", "-f", _SHOWN, name).out)
            seen += [f"# {name}", *_plain(json.dumps(found, indent=1, sort_keys=True)).splitlines()]
            seen += _plain(engine.docker("port", name).out.decode()).splitlines()
        for name in sorted(
            engine.docker("network", "ls", "-f", "type=custom", "--format", "{{.Name}}").out.decode().split()
        ):
            found = json.loads(engine.docker("network", "inspect", "-v", name).out)
            for one in found:
                # By id, which is drawn anew for each.
                one["IPAM"]["Config"] = sorted(one["IPAM"]["Config"] or (), key=lambda pool: str(pool["Subnet"]))
                one["Containers"] = sorted(one["Containers"].values(), key=lambda inside: str(inside["Name"]))
            seen += [f"# network {name}", *_plain(json.dumps(found, indent=1, sort_keys=True)).splitlines()]
    finally:
        engine.remove_containers()
        engine.docker("network", "prune", "-f")
        engine.docker("network", "rm", "-f", "net", "plan")
    return seen


def _plain(text: str) -> str:
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text
