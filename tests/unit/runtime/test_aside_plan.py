"""Starts that another program has a part in: a start with more to it, the network's part as a list, places of mounts in order."""

import socket

from sampan.cgroups.plan import CgroupPlan
from sampan.network.plan import LinkPlan
from sampan.runtime import aside_plan, plan, world_plan
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
MEANS = aside_plan.Means("/usr/bin/python3", "/src", {"PATH": "/bin"}, "/run/aside")


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


def member(name: str, link: LinkPlan | None = None, more: tuple[LinkPlan, ...] = ()) -> dict[str, object]:
    body = aside_plan.restore(request(link, more), "/run/x", MEANS, "/usr/sbin/criu")
    inner = body[name]
    assert isinstance(inner, dict)
    return inner


def pair(name: str) -> LinkPlan:
    return LinkPlan(f"v{name}", 3, "02:00:00:00:00:01", "10.0.0.2", 24, "10.0.0.1", name=name)


def test_it_has_all_that_a_start_has() -> None:
    body = aside_plan.restore(request(), "/run/x", MEANS, "criu")
    more = ("restore", "aside")
    assert {key: value for key, value in body.items() if key not in more} == plan.start(request(), "/run/x")


def test_it_says_what_is_executed_and_where_mounts_stand() -> None:
    body = member("aside")
    assert {key: body[key] for key in ("python", "source", "environment", "place")} == {
        "python": "/usr/bin/python3",
        "source": "/src",
        "environment": {"PATH": "/bin"},
        "place": "/run/aside",
    }
    assert member("restore") == {"criu": "/usr/sbin/criu", "destinations": ("/data",)}


def test_the_network_has_its_own_parameters_and_no_others() -> None:
    network = member("aside")["network"]
    assert network == [
        [
            "sysctl",
            {**world_plan.NETWORK_SYSCTLS, "net.ipv4.ip_default_ttl": "77", "net.ipv4.ping_group_range": "1 0"},
        ],
        ["loopback"],
    ]


def test_interfaces_are_configured_in_order_and_announced() -> None:
    network = member("aside", pair("eth0"), (pair("eth1"),))["network"]
    assert isinstance(network, list)
    assert [step[0] for step in network] == ["sysctl", "interface", "further_interface", "announce"]
    assert socket.inet_aton(network[1][1]["address"]) == b"\n\x00\x00\x02"
