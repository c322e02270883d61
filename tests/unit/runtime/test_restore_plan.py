"""A restore is a start with more to it: the network's part as a list, the places of mounts in criu's order."""

import socket

from sampan.cgroups.plan import CgroupPlan
from sampan.network.plan import LinkPlan
from sampan.runtime import plan, restore_plan, world_plan
from sampan.runtime.request import LogSpec, Restore, StartRequest, Stdio
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId
from sampan.spec.rootfs import PlainRoot

CONFIG = oci.Config(
    process=oci.Process(args=("p",)),
    mounts=(oci.Mount(destination="/data", type="bind", source="/srv"),),
    linux=oci.Linux(
        namespaces=(oci.Namespace(type="network"), oci.Namespace(type="mount")),
        sysctl={"net.ipv4.ip_default_ttl": "77", "kernel.shmmni": "5", "net.ipv4.ping_group_range": "1 0"},
    ),
)
PROGRAMS = {"criu": "/usr/sbin/criu", "python": "/usr/bin/python3", "source": "/src"}


def request(link: LinkPlan | None = None, more: tuple[LinkPlan, ...] = ()) -> StartRequest:
    return StartRequest(
        id=ContainerId("ab" * 32),
        config=CONFIG,
        root=PlainRoot("/root"),
        stdio=Stdio(),
        log=LogSpec(None),
        cgroup=CgroupPlan({"unified": "/sys/fs/cgroup/docker/x"}),
        link=link,
        more_links=more,
        resolver=True,
        held=(),
        restore=Restore(7),
    )


def restored(link: LinkPlan | None = None, more: tuple[LinkPlan, ...] = ()) -> dict[str, object]:
    body = restore_plan.restore(request(link, more), "/run/x", "/run/restore", PROGRAMS, {"PATH": "/bin"})
    inner = body["restore"]
    assert isinstance(inner, dict)
    return inner


def pair(name: str) -> LinkPlan:
    return LinkPlan(f"v{name}", 3, "02:00:00:00:00:01", "10.0.0.2", 24, "10.0.0.1", name=name)


def test_it_has_all_that_a_start_has() -> None:
    body = restore_plan.restore(request(), "/run/x", "/run/restore", PROGRAMS, {})
    assert {key: value for key, value in body.items() if key != "restore"} == plan.start(request(), "/run/x")


def test_it_says_what_is_executed_and_where_mounts_stand() -> None:
    body = restored()
    assert {key: body[key] for key in PROGRAMS} == PROGRAMS
    assert (body["place"], body["destinations"], body["environment"]) == ("/run/restore", ("/data",), {"PATH": "/bin"})


def test_the_network_has_its_own_parameters_and_no_others() -> None:
    network = restored()["network"]
    assert network == [
        [
            "sysctl",
            {**world_plan.NETWORK_SYSCTLS, "net.ipv4.ip_default_ttl": "77", "net.ipv4.ping_group_range": "1 0"},
        ],
        ["loopback"],
    ]


def test_interfaces_are_configured_in_order_and_announced() -> None:
    network = restored(pair("eth0"), (pair("eth1"),))["network"]
    assert isinstance(network, list)
    assert [step[0] for step in network] == ["sysctl", "interface", "further_interface", "announce"]
    assert socket.inet_aton(network[1][1]["address"]) == b"\n\x00\x00\x02"
