"""Facts in Docker's words, and findings as they pass between the two processes."""

import msgspec
import pytest

from sampan.host import facts
from sampan.host.finding import Finding
from sampan.host.groups import Hierarchies

EVERYTHING = facts.Limits(
    memory=True,
    swap=True,
    oom_kill_disable=True,
    cpu_shares=True,
    cpu_cfs=True,
    cpuset=True,
    blkio_weight=True,
    blkio_weight_device=True,
    blkio_throttle=True,
)
HOST = facts.Facts(
    name="host",
    kernel="6.1.0",
    machine="x86_64",
    operating_system="Debian GNU/Linux 12 (bookworm)",
    os_version="12",
    cpus=2,
    memory=1 << 30,
    cgroup_version="2",
    mode="unified",
    apparmor=False,
    selinux=False,
    seccomp=True,
    cgroup_namespaces=True,
    time_namespaces=True,
    ipv4_forwarding=True,
    bridge_nf_iptables=False,
    bridge_nf_ip6tables=False,
)


def without(**limits: bool) -> facts.Limits:
    return msgspec.structs.replace(EVERYTHING, **limits)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (EVERYTHING, []),
        (without(memory=False), ["WARNING: No memory limit support"]),
        (without(swap=False), ["WARNING: No swap limit support"]),
        (without(oom_kill_disable=False), []),
        (without(cpu_cfs=False), ["WARNING: No cpu cfs quota support", "WARNING: No cpu cfs period support"]),
        (
            without(blkio_weight=False, blkio_weight_device=False),
            ["WARNING: No io.weight support", "WARNING: No io.weight (per device) support"],
        ),
        (
            without(blkio_throttle=False),
            [f"WARNING: No io.max ({way}) support" for way in ("rbps", "wbps", "riops", "wiops")],
        ),
    ],
)
def test_warnings(limits: facts.Limits, expected: list[str]) -> None:
    assert facts.warnings(HOST, limits) == expected


def test_warnings_of_the_network() -> None:
    host = msgspec.structs.replace(HOST, ipv4_forwarding=False)
    assert facts.warnings(host, EVERYTHING) == ["WARNING: IPv4 forwarding is disabled"]


def test_warnings_on_cgroup_v1() -> None:
    host = msgspec.structs.replace(HOST, cgroup_version="1")
    found = facts.warnings(host, without(blkio_weight=False, oom_kill_disable=False, blkio_throttle=False))
    assert found[0] == "WARNING: No oom kill disable support"
    assert "WARNING: No blkio throttle.read_bps_device support" in found
    assert not any("io.weight" in line for line in found)
    assert found[-1].startswith("WARNING: Support for cgroup v1 is deprecated")


@pytest.mark.parametrize(
    ("changes", "no_new_privileges", "private", "expected"),
    [
        ({}, False, True, ["name=seccomp,profile=builtin", "name=cgroupns"]),
        ({}, False, False, ["name=seccomp,profile=builtin"]),
        ({"apparmor": True}, True, False, ["name=apparmor", "name=seccomp,profile=builtin", "name=no-new-privileges"]),
        ({"seccomp": False, "cgroup_namespaces": False}, False, True, []),
    ],
)
def test_security_options(
    changes: dict[str, bool], no_new_privileges: bool, private: bool, expected: list[str]
) -> None:
    host = msgspec.structs.replace(HOST, **changes)
    assert facts.security_options(host, "builtin", no_new_privileges, private) == expected


@pytest.mark.parametrize(
    ("v1", "v2", "mode"),
    [
        ({}, "", "none"),
        ({}, "/sys/fs/cgroup", "unified"),
        ({"memory": "/sys/fs/cgroup/memory"}, "/sys/fs/cgroup/unified", "hybrid"),
        ({"memory": "/sys/fs/cgroup/memory"}, "", "legacy"),
    ],
)
def test_modes(v1: dict[str, str], v2: str, mode: str) -> None:
    assert Hierarchies(v1, v2, frozenset()).mode == mode


def test_where_a_controller_is() -> None:
    hybrid = Hierarchies({"memory": "/v1/memory"}, "/v2", frozenset({"io"}))
    assert hybrid.place("memory") == ("/v1/memory", 1)
    assert hybrid.place("blkio") == ("/v2", 2)
    assert hybrid.place("pids") == ("", 0)
    assert hybrid.place("devices") == ("", 0)
    unified = Hierarchies({}, "/v2", frozenset({"memory", "cpu"}))
    assert unified.place("memory") == ("/v2", 2)
    assert unified.place("cpuacct") == ("/v2", 2)
    assert unified.place("freezer") == unified.place("devices") == ("/v2", 2)


def test_a_finding_survives_the_pipe() -> None:
    finding = Finding(name="overlay", area="files", ok=False, why="[Errno 22] \udcff", hint="", needed=True)
    assert msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(finding, why="é")), type=Finding).why == "é"
