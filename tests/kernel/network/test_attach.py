"""The launcher's side: what a container's link looks like, cold and from a warm slot."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.namespaces import setns
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import attach
from sampan.network.modes import parse_mode
from sampan.spec.networks import IPAM, IPAMConfig
from tests.kernel.network.lab import Container, Lab, Namespace, new_namespace
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables")

ETH_P_ARP = 0x0806


def world(namespace: Namespace) -> dict[str, object]:
    """What a program inside can see of its network."""
    with namespace.entered():
        with Netlink(NETLINK_ROUTE) as route:
            link = rtnetlink.link_by_name(route, "eth0")
            assert link is not None
            loopback = rtnetlink.link_by_name(route, "lo")
            assert loopback is not None
            found = [one for one in rtnetlink.addresses(route) if one.index == link.index]
            routes = sorted((one.destination, one.prefix, one.table) for one in rtnetlink.routes(route))
        settings = {}
        for name in ("ipv4/conf/eth0/arp_notify", "ipv6/conf/eth0/disable_ipv6", "ipv4/conf/eth0/route_localnet"):
            with open("/proc/sys/net/" + name) as file:
                settings[name] = file.read().strip()
    return {
        "up": (link.up, loopback.up),
        "mac": link.mac.hex(":"),
        "mtu": link.mtu,
        "kind": link.kind,
        "addresses": [(socket.inet_ntoa(one.address), one.prefix) for one in found],
        "routes": routes,
        "settings": settings,
    }


def test_a_cold_start(lab: Lab) -> None:
    container = Container(lab.open(mtu=1400))
    seen = world(container.namespace)
    assert seen["up"] == (True, True)
    assert seen["mac"] == "02:42:ac:11:00:02"
    assert seen["mtu"] == 1400
    assert seen["kind"] == "veth"
    assert seen["addresses"] == [("172.17.0.2", 16)]
    assert (b"\0\0\0\0", 0, 254) in seen["routes"]  # type: ignore[operator]


def test_a_warm_slot_shows_the_same_world_and_tells_its_neighbours(lab: Lab) -> None:
    networks = lab.open()
    cold = Container(networks)
    expected = world(cold.namespace)
    cold.end()

    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    slot = new_namespace()
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    plan = asdict(networks.slot_plan())
    pid = os.fork()
    if pid == 0:
        try:
            setns(slot.descriptor)
            os.closerange(0, 1024)
            signal.alarm(60)
            signal.pause()
        finally:
            os._exit(0)
    while os.stat(f"/proc/{pid}/ns/net").st_ino != os.fstat(slot.descriptor).st_ino:
        os.sched_yield()
    attach.create_link(plan, pid)
    with slot.entered():
        inside = attach.park_inside("eth0", proc)
    listener.bind((networks.facts()[0].options[4][1], ETH_P_ARP))
    time.sleep(0.02)
    claimed = networks.connect(cold.endpoint.container, parse_mode("bridge"))
    assert claimed.link is not None
    attach.claim_inside(asdict(replace(claimed.link, host_name=plan["host_name"])), inside)
    inside.close()
    assert world(slot) == expected
    listener.settimeout(1)
    frame = listener.recv(100)
    assert frame[:12].hex(":") == "ff:ff:ff:ff:ff:ff:02:42:ac:11:00:02"
    assert frame[28:32] == frame[38:42] == socket.inet_aton("172.17.0.2")
    listener.close()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(proc)
    os.close(slot.descriptor)


def test_a_process_that_is_gone(lab: Lab) -> None:
    networks = lab.open()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    plan = asdict(networks.slot_plan())
    with pytest.raises(OSError, match=f"veth add {plan['host_name']}"):
        attach.create_link(plan, pid)
    assert plan["host_name"] not in [name for _, name in socket.if_nameindex()]


def test_what_the_launcher_loads_for_it() -> None:
    """Few modules: each costs the launcher's forks time and memory."""
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import sampan.network.attach; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    source = os.path.dirname(os.path.dirname(os.path.dirname(attach.__file__)))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, source], check=True, capture_output=True, text=True
    )
    loaded = set(json.loads(done.stdout))
    assert {name for name in loaded if name.startswith("sampan")} == {
        "sampan",
        "sampan.kernel",
        "sampan.kernel.netlink",
        "sampan.kernel.parented_links",
        "sampan.kernel.rtnetlink",
        "sampan.network",
        "sampan.network.attach",
    }
    assert not loaded & {"typing", "dataclasses", "logging", "msgspec", "asyncio", "ipaddress", "pathlib"}


@requires("macvlan")
def test_a_link_on_a_link_of_the_host_that_leads_out_by_itself(lab: Lab) -> None:
    """What ipvlan's l3 has: default routes without a gateway, in both families. It is removed by what nobody can change."""
    networks = lab.open()
    ipam = IPAM(config=(IPAMConfig(subnet="10.99.0.0/24", ip_range="10.99.0.128/25"), IPAMConfig(subnet="fd99::/64")))
    lab.create("lan", driver="macvlan", options={"parent": "wire"}, ipam=ipam, enable_ipv6=True)
    container = Container(networks, "lan")
    plan = container.endpoint.link
    assert plan is not None
    straight = asdict(
        replace(
            plan, gateway="", gateway6="", straight=(4, 6), index=plan.index + 1, name="eth1", mac="02:00:00:00:00:88"
        )
    )
    attach.create_link(straight, container.pid)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with container.namespace.entered():
        attach.configure_inside(straight, proc).close()
        with Netlink(NETLINK_ROUTE) as route:
            for family in (socket.AF_INET, socket.AF_INET6):
                found = [one for one in rtnetlink.routes(route, family) if not one.prefix and one.table == 254]
                assert [one.index for one in found if one.index == plan.index + 1] == [plan.index + 1]
            route.request_all([rtnetlink.rename_message(plan.index, "other")])
            route.request_all([rtnetlink.delete_message(plan.index)])
            assert rtnetlink.link_by_index(route, plan.index) is None
    os.close(proc)
    with pytest.raises(OSError, match="failed to create the macvlan port: no such process") as raised:
        attach.create_link({**straight, "index": plan.index + 2}, 2**22 + 1)
    assert raised.value.errno == errno.ESRCH
