"""What the table of verdicts calls honoured is: a program in the container sees it, or it is listed where else that is shown."""

import os
import re

import pytest

from sampan.daemon.verdicts import HOST_CONFIG, Measure
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "docker-client", "busybox")

MEGABYTE = 1 << 20


def capability(number: int) -> str:
    return f"echo $((0x$(grep CapEff /proc/self/status | cut -f2) >> {number} & 1))"


def limit(v1: str, v2: str) -> str:
    return f"cat /sys/fs/cgroup/{v1} /sys/fs/cgroup/{v2} 2>/dev/null | cut -d' ' -f1"


SEEN: dict[str, tuple[object, str, str]] = {
    "Binds": (["/usr/share:/mnt:ro"], "grep -c ' /mnt .*ro' /proc/mounts", "1"),
    "CapAdd": (["SYS_TIME"], capability(25), "1"),
    "CapDrop": (["CHOWN"], capability(0), "0"),
    "CgroupnsMode": ("private", "cut -d: -f3 /proc/self/cgroup | sort -u", "/"),
    "ConsoleSize": ([40, 100], "stty size", "40 100"),
    "CpuQuota": (20000, limit("cpu/cpu.cfs_quota_us", "cpu.max"), "20000"),
    "CpuPeriod": (50000, "cat /sys/fs/cgroup/cpu/cpu.cfs_period_us /sys/fs/cgroup/cpu.max 2>/dev/null", ".*50000"),
    "CpuShares": (512, limit("cpu/cpu.shares", "cpu.weight"), "512|5[0-9]"),
    "CpusetCpus": ("0", "grep Cpus_allowed_list /proc/self/status | cut -f2", "0"),
    "CpusetMems": ("0", "grep Mems_allowed_list /proc/self/status | cut -f2", "0"),
    "Devices": (
        [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought", "CgroupPermissions": "r"}],
        "head -c 3 /dev/nought | wc -c",
        "3",
    ),
    "Dns": (["192.0.2.53"], "grep nameserver /etc/resolv.conf", "nameserver 192.0.2.53"),
    "DnsOptions": (["ndots:3"], "grep -o ndots:3 /etc/resolv.conf", "ndots:3"),
    "DnsSearch": (["example.org"], "grep search /etc/resolv.conf", "search example.org"),
    "ExtraHosts": (["other:192.0.2.7"], "grep -c '192.0.2.7.*other' /etc/hosts", "1"),
    "GroupAdd": (["7"], "id -G", ".*\\b7"),
    "Init": (True, "[ $$ = 1 ] || echo behind an init", "behind an init"),
    "IpcMode": ("host", "readlink /proc/self/ns/ipc", re.escape(os.readlink("/proc/self/ns/ipc"))),
    "MaskedPaths": (["/etc/passwd"], "wc -c </etc/passwd", "0"),
    "Memory": (64 * MEGABYTE, limit("memory/memory.limit_in_bytes", "memory.max"), str(64 * MEGABYTE)),
    "MemoryReservation": (
        32 * MEGABYTE,
        limit("memory/memory.soft_limit_in_bytes", "memory.low"),
        str(32 * MEGABYTE),
    ),
    "NanoCpus": (500_000_000, limit("cpu/cpu.cfs_quota_us", "cpu.max"), "50000"),
    "OomScoreAdj": (300, "cat /proc/self/oom_score_adj", "300"),
    "PidMode": ("host", f"test -d /proc/{os.getpid()} && echo there", "there"),
    "PidsLimit": (33, limit("pids/pids.max", "pids.max"), "33"),
    "Privileged": (True, capability(21), "1"),
    "ReadonlyPaths": (["/etc"], "touch /etc/x 2>/dev/null || echo refused", "refused"),
    "ReadonlyRootfs": (True, "touch /x 2>/dev/null || echo refused", "refused"),
    "ShmSize": (MEGABYTE, "df -k /dev/shm | tail -n 1 | awk '{print $2}'", "1024"),
    "Sysctls": ({"net.ipv4.ip_forward": "0"}, "cat /proc/sys/net/ipv4/ip_forward", "0"),
    "Tmpfs": ({"/scratch": "size=1m"}, "df -k /scratch | tail -n 1 | awk '{print $2}'", "1024"),
    "UTSMode": ("host", "hostname", re.escape(os.uname().nodename)),
    "Ulimits": ([{"Name": "nofile", "Soft": 100, "Hard": 200}], "ulimit -n; ulimit -Hn", "100\n200"),
}
"""Member → its value, what to run, and what that prints."""

ELSEWHERE = {
    "Annotations": "tests/unit/daemon: kept, and there is nothing that would read them",
    "AutoRemove": "tests/differential: every `run --rm`",
    "BlkioWeight": "tests/unit/cgroups: few kernels have it",
    "BlkioWeightDevice": "tests/api: block limits",
    "BlkioDeviceReadBps": "tests/api: block limits",
    "BlkioDeviceReadIOps": "tests/api: block limits",
    "BlkioDeviceWriteBps": "tests/api: block limits",
    "BlkioDeviceWriteIOps": "tests/api: block limits",
    "DeviceRequests": "tests/api: device requests",
    "KernelMemoryTCP": "tests/unit/cgroups: v1 alone",
    "Mounts": "tests/api: mounts",
    "CgroupParent": "tests/unit/cgroups: where the groups are",
    "ContainerIDFile": "kept and shown",
    "CpuPercent": "tests/api/test_bad_input: taken off",
    "CpuRealtimePeriod": "tests/unit/daemon: few kernels have it",
    "CpuRealtimeRuntime": "tests/unit/daemon: few kernels have it",
    "DeviceCgroupRules": "tests/kernel/cgroups: devices",
    "Isolation": "one value",
    "KernelMemory": "taken off",
    "Links": "tests/api: links",
    "MemorySwap": "tests/kernel/cgroups: swap is not accounted for everywhere",
    "MemorySwappiness": "tests/kernel/cgroups: v1 alone",
    "NetworkMode": "tests/api: networks",
    "OomKillDisable": "tests/kernel/cgroups: v1 alone",
    "PortBindings": "tests/kernel/network: ports",
    "PublishAllPorts": "tests/kernel/network: ports",
    "RestartPolicy": "tests/api: restarts",
    "Runtime": "tests/api/test_other_runtimes.py",
    "UsernsMode": "one value",
    "VolumesFrom": "tests/differential: volumes",
}


def test_nothing_is_called_honoured_that_is_not_shown() -> None:
    full = {name for name, verdict in HOST_CONFIG.items() if verdict.measure is Measure.FULL}
    assert full - set(SEEN) - set(ELSEWHERE) == set()


@pytest.mark.parametrize("member", SEEN)
def test_a_program_sees_it(engine: Sampan, member: str) -> None:
    value, script, printed = SEEN[member]
    tty = member == "ConsoleSize"
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], "Tty": tty, "HostConfig": {member: value}}
    created = engine.api("POST", "/containers/create", body).json()
    assert isinstance(created, dict)
    started = engine.api("POST", f"/containers/{created['Id']}/start")
    engine.api("POST", f"/containers/{created['Id']}/wait")
    seen = engine.docker("logs", created["Id"]).text.replace("\r\n", "\n")
    shown = engine.api("GET", f"/containers/{created['Id']}/json").json()
    engine.remove_containers()
    assert started.status == 204, started
    assert re.fullmatch(printed, seen, re.DOTALL), seen
    assert isinstance(shown, dict)
    assert shown["HostConfig"][member] == value
