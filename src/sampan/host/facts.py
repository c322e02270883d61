"""What is true of this host and need only be read: for `docker info`, `version`, and the checks of a create request.

Cheap (a few small files), so the daemon reads it again whenever it is asked. Wording and field meanings are Docker's
(moby/pkg/sysinfo).
"""

import os

import msgspec

from sampan.host.groups import hierarchies
from sampan.host.security import apparmor_works, selinux_works

_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_LONGEST = 1 << 16


class Limits(msgspec.Struct, frozen=True):
    """Which limits can be set here, of those that `docker info` warns about."""

    memory: bool = False
    swap: bool = False
    oom_kill_disable: bool = False
    cpu_shares: bool = False
    cpu_cfs: bool = False
    cpuset: bool = False
    blkio_weight: bool = False
    blkio_weight_device: bool = False
    blkio_throttle: bool = False


class Facts(msgspec.Struct, frozen=True):
    """One host. `memory` in bytes; `cgroup_version` is "1" or "2"; `mode` is unified, hybrid or legacy."""

    name: str
    kernel: str
    machine: str
    operating_system: str
    os_version: str
    cpus: int
    memory: int
    cgroup_version: str
    mode: str
    apparmor: bool
    selinux: bool
    seccomp: bool
    cgroup_namespaces: bool
    time_namespaces: bool
    ipv4_forwarding: bool
    bridge_nf_iptables: bool
    bridge_nf_ip6tables: bool


def read() -> Facts:
    """The facts of this moment. Raises OSError where /proc is not there."""
    groups = hierarchies()
    system = os.uname()
    release = _os_release()
    name = release.get("PRETTY_NAME") or "Linux"
    return Facts(
        name=system.nodename,
        kernel=system.release,
        machine=system.machine,
        operating_system=f"{name} (containerized)" if _containerized() else name,
        os_version=release.get("VERSION_ID", ""),
        cpus=len(os.sched_getaffinity(0)),
        memory=_memory(),
        cgroup_version="2" if groups.mode == "unified" else "1",
        mode=groups.mode,
        apparmor=apparmor_works(),
        selinux=selinux_works(),
        seccomp=os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
        cgroup_namespaces=os.path.exists("/proc/self/ns/cgroup"),
        time_namespaces=os.path.exists("/proc/self/ns/time"),
        ipv4_forwarding=_text("/proc/sys/net/ipv4/ip_forward") == "1",
        bridge_nf_iptables=_text("/proc/sys/net/bridge/bridge-nf-call-iptables") == "1",
        bridge_nf_ip6tables=_text("/proc/sys/net/bridge/bridge-nf-call-ip6tables") == "1",
    )


def security_options(
    facts: Facts,
    seccomp_profile: str,
    no_new_privileges: bool,
    private_cgroups: bool,
    *,
    remapped: bool = False,
    rootless: bool = False,
) -> list[str]:
    """`SecurityOptions` of `docker info`. `seccomp_profile` is builtin, unconfined or a path; the next two are defaults.

    `remapped`: containers have users of their own unless they say otherwise.
    """
    found = [
        "name=apparmor" if facts.apparmor else "",
        f"name=seccomp,profile={seccomp_profile}" if facts.seccomp else "",
        "name=userns" if remapped else "",
        "name=rootless" if rootless else "",
        "name=cgroupns" if facts.cgroup_namespaces and (private_cgroups or rootless) else "",
        "name=no-new-privileges" if no_new_privileges else "",
    ]
    return [option for option in found if option]


def warnings(facts: Facts, limits: Limits) -> list[str]:
    """`Warnings` of `docker info` that come from the host, in Docker's words. `limits` as the daemon found them by trying."""
    v2 = facts.cgroup_version == "2"
    missing = (
        (limits.memory, "memory limit"),
        (limits.swap, "swap limit"),
        # There is no such switch on v2, and nothing to be done about it.
        (limits.oom_kill_disable or v2, "oom kill disable"),
        (limits.cpu_cfs, "cpu cfs quota"),
        (limits.cpu_cfs, "cpu cfs period"),
        (limits.cpu_shares, "cpu shares"),
        (limits.cpuset, "cpuset"),
        (limits.blkio_weight or not v2, "io.weight"),
        (limits.blkio_weight_device or not v2, "io.weight (per device)"),
        *(
            (limits.blkio_throttle, f"io.max ({name})" if v2 else f"blkio throttle.{file}")
            for name, file in (
                ("rbps", "read_bps_device"),
                ("wbps", "write_bps_device"),
                ("riops", "read_iops_device"),
                ("wiops", "write_iops_device"),
            )
        ),
    )
    found = [f"WARNING: No {what} support" for there, what in missing if not there]
    if not v2:
        found.append(
            "WARNING: Support for cgroup v1 is deprecated and planned to be removed by no later than May 2029 "
            "(https://github.com/moby/moby/issues/51111)"
        )
    if not facts.ipv4_forwarding:
        found.append("WARNING: IPv4 forwarding is disabled")
    return found


def _os_release() -> dict[str, str]:
    for path in _OS_RELEASE:
        text = _text(path)
        if text:
            pairs = (line.partition("=") for line in text.splitlines())
            return {key: value.strip("\"' ") for key, found, value in pairs if found}
    return {}


def _containerized() -> bool:
    """Whether process 1 is in a control group other than the root or systemd's own, as Docker reads it."""
    lines = _text("/proc/1/cgroup").splitlines()
    return any(not line.endswith((":/", ":/init.scope")) for line in lines)


def _memory() -> int:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: str) -> str:
    """The file's text without its last newline; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST).rstrip("\n")
    except OSError:
        return ""
