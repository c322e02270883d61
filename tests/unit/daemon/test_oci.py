"""From a definition to an OCI configuration: a table of what each wish changes."""

from typing import Any

import pytest

from sampan.daemon import merge
from sampan.daemon.config import load
from sampan.daemon.config_values import Ulimit
from sampan.daemon.definition import Definition
from sampan.daemon.flags import parse
from sampan.daemon.oci import Joined, Surroundings, configuration, wants_init
from sampan.errors import InvalidParameter
from sampan.runtime.profile_capabilities import DEFAULT, KNOWN
from sampan.spec import oci_runtime as oci
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.host_config import Ulimit as AskedUlimit
from sampan.spec.ids import ContainerId

ID = ContainerId("ab" * 32)
AROUND = Surroundings(
    capabilities=KNOWN,
    machine="x86_64",
    kernel=(6, 18),
    apparmor=False,
    thermal=(),
    cgroup_v2=False,
    ulimits=(Ulimit("nofile", 10, 20), Ulimit("core", 0, 0)),
)
DEFAULTS = load(parse(["--config-file", "/dev/null"]))


def configured(host: dict[str, Any], config: dict[str, Any] | None = None, **joined: Any) -> oci.Config:
    complete = merge.with_defaults(HostConfig(**host), DEFAULTS, cgroup_v2=False, thermal=())
    asked = ContainerConfig(**{"cmd": ("prog", "arg"), **(config or {})})
    definition = Definition(
        id=ID,
        name="web",
        created_ns=1,
        image="i",
        image_id=None,
        config=asked,
        host=complete,
        path="prog",
        args=("arg",),
    )
    return configuration(definition, AROUND, Joined(**{"hostname": "h", **joined}))


def types(made: oci.Config) -> dict[str, str]:
    return {namespace.type: namespace.path for namespace in made.linux.namespaces}


def test_a_plain_container() -> None:
    made = configured({})
    assert made.process.args == ("prog", "arg")
    assert made.process.cwd == "/"
    assert made.process.capabilities.bounding == DEFAULT
    assert made.process.capabilities.inheritable == ()
    assert set(types(made)) == {"mount", "network", "uts", "pid", "ipc"}
    assert [mount.destination for mount in made.mounts][:2] == ["/proc", "/dev"]
    assert "size=67108864" in next(m for m in made.mounts if m.destination == "/dev/shm").options
    assert made.linux.seccomp is not None
    assert "/proc/kcore" in made.linux.masked_paths
    assert made.linux.cgroups_path == ID
    assert not made.init
    assert not made.root.readonly


@pytest.mark.parametrize(
    ("host", "missing"),
    [
        ({"network_mode": "host"}, "network"),
        ({"uts_mode": "host"}, "uts"),
        ({"pid_mode": "host"}, "pid"),
        ({"ipc_mode": "host"}, "ipc"),
    ],
)
def test_namespaces_of_the_host(host: dict[str, Any], missing: str) -> None:
    assert set(types(configured(host))) == {"mount", "network", "uts", "pid", "ipc"} - {missing}


def test_namespaces_of_another_container() -> None:
    made = configured({"pid_mode": "container:x"}, pids={"pid": 7, "network": 8})
    assert types(made)["pid"] == "/proc/7/ns/pid"
    assert types(made)["network"] == "/proc/8/ns/net"


def test_the_hosts_names_stay_the_hosts() -> None:
    assert configured({}).hostname == "h"
    assert configured({"uts_mode": "host"}).hostname == ""


def test_cgroup_namespace() -> None:
    assert "cgroup" in types(configured({"cgroupns_mode": "private"}))
    assert "cgroup" not in types(configured({}))


def test_privileged() -> None:
    made = configured({"privileged": True})
    assert made.process.capabilities.effective == KNOWN
    assert made.linux.seccomp is None
    assert made.linux.masked_paths == made.linux.readonly_paths == ()
    assert made.linux.resources.devices == (oci.DeviceRule(allow=True),)
    assert "/dev/null" not in [device.path for device in made.linux.devices]
    assert "ro" not in next(m for m in made.mounts if m.destination == "/sys").options


@pytest.mark.parametrize(
    ("host", "limits"),
    [
        ({"memory": 1 << 25}, oci.Memory(limit=1 << 25, swap=1 << 26)),
        ({"memory": 1 << 25, "memory_swap": -1}, oci.Memory(limit=1 << 25, swap=-1)),
        ({"memory_swappiness": 0}, oci.Memory(swappiness=0)),
        ({"oom_kill_disable": True}, oci.Memory(disable_oom_killer=True)),
    ],
)
def test_memory(host: dict[str, Any], limits: oci.Memory) -> None:
    assert configured(host).linux.resources.memory == limits


@pytest.mark.parametrize(
    ("host", "cpu"),
    [
        ({"nano_cpus": 500_000_000}, oci.Cpu(quota=50_000, period=100_000)),
        ({"cpu_quota": 2000, "cpu_period": 4000}, oci.Cpu(quota=2000, period=4000)),
        ({"cpu_shares": 512, "cpuset_cpus": "0-1"}, oci.Cpu(shares=512, cpus="0-1")),
    ],
)
def test_cpu(host: dict[str, Any], cpu: oci.Cpu) -> None:
    assert configured(host).linux.resources.cpu == cpu


def test_the_requests_limits_take_the_place_of_the_daemons() -> None:
    made = configured({"ulimits": (AskedUlimit(name="nofile", soft=1, hard=2),)})
    found = {limit.type: (limit.soft, limit.hard) for limit in made.process.rlimits}
    assert found == {"RLIMIT_NOFILE": (1, 2), "RLIMIT_CORE": (0, 0)}


def test_mounts_of_the_request_take_the_place_of_our_own() -> None:
    mine = (oci.Mount(destination="/dev", type="bind", source="/x"),)
    made = configured({}, mounts=mine)
    assert [m.type for m in made.mounts if m.destination.startswith("/dev")] == ["bind"]


def test_shared_memory() -> None:
    shared = configured({"ipc_mode": "shareable"}, shm="/run/shm/x")
    assert [(m.type, m.source) for m in shared.mounts if m.destination == "/dev/shm"] == [("bind", "/run/shm/x")]
    assert [m for m in configured({"ipc_mode": "none"}).mounts if m.destination == "/dev/shm"] == []


def test_sysctls_only_of_ones_own_namespaces() -> None:
    assert configured({"sysctls": {"net.core.somaxconn": "9"}}).linux.sysctl["net.core.somaxconn"] == "9"
    with pytest.raises(InvalidParameter, match="host network namespace"):
        configured({"sysctls": {"net.core.somaxconn": "9"}, "network_mode": "host"})


def test_the_terminal() -> None:
    made = configured({"console_size": (24, 80)}, {"tty": True})
    assert made.process.console_size == oci.ConsoleSize(height=24, width=80)
    assert "TERM=xterm" in made.process.env
    assert configured({"console_size": (24, 80)}).process.console_size is None


@pytest.mark.parametrize(
    ("host", "default", "result"),
    [
        ({}, True, True),
        ({"init": False}, True, False),
        ({"init": True}, False, True),
        ({"init": True, "pid_mode": "host"}, False, False),
    ],
)
def test_init(host: dict[str, Any], default: bool, result: bool) -> None:
    assert wants_init(HostConfig(**host), default=default) is result
