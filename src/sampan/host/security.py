"""Probes of what keeps containers in: seccomp, security modules, and the capabilities that the engine itself has."""

import os
import struct
from functools import partial

from sampan.host.finding import Lacking, Probe
from sampan.kernel.caps import Cap, capget
from sampan.kernel.seccomp import install_filter

_APPARMOR = "/sys/kernel/security/apparmor/profiles"
_SELINUX = "/sys/fs/selinux/enforce"
# Return SECCOMP_RET_ERRNO | EXDEV from getppid, whatever its number is here; allow all else.
_EXDEV = 18
_GETPPID = {"x86_64": 110, "aarch64": 173}


def seccomp_filter_works() -> str:
    """Install a filter in this process and see that it acts."""
    number = _GETPPID.get(os.uname().machine)
    if number is None:
        raise Lacking(f"no system call numbers for {os.uname().machine}")
    program = (
        struct.pack("=HBBI", 0x20, 0, 0, 0)
        + struct.pack("=HBBI", 0x15, 0, 1, number)
        + struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | _EXDEV)
        + struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    )
    install_filter(program)
    if os.getppid() > 0:
        raise Lacking("a filter was installed and has no effect")
    return ""


def apparmor_works() -> bool:
    """Whether AppArmor is on, as Docker asks: its list of profiles can be read."""
    try:
        with open(_APPARMOR, "rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def selinux_works() -> bool:
    """Whether SELinux is on."""
    return os.path.exists(_SELINUX)


def _module(name: str, works: bool) -> str:
    if not works:
        raise Lacking(f"{name} is not switched on in this kernel")
    return ""


_LOST: dict[Cap, str] = {
    Cap.SYS_ADMIN: "namespaces, mounts: no container starts",
    Cap.NET_ADMIN: "networks; containers start with --network none or host",
    Cap.SETUID: "running programs as other users",
    Cap.SETGID: "running programs in other groups",
    Cap.CHOWN: "layers with files of several owners",
    Cap.DAC_OVERRIDE: "files of other users in layers",
    Cap.FOWNER: "layers with files of several owners",
    Cap.MKNOD: "device nodes in /dev; layers with devices",
    Cap.SYS_CHROOT: "joining the mount namespace of a running container",
    Cap.KILL: "stopping programs of other users",
    Cap.SETPCAP: "dropping capabilities from the bounding set",
    Cap.SETFCAP: "layers with file capabilities",
    Cap.SYS_PTRACE: "joining the namespaces of a running container (exec)",
    Cap.SYS_RESOURCE: "--ulimit above the daemon's own hard limits, --oom-score-adj below its own; privileged containers lack it",
    Cap.NET_RAW: "checking addresses before they are given out; containers lack it by default too",
    Cap.BPF: "device rules on cgroup v2",
    Cap.SYS_TIME: "setting the clock in privileged containers",
    Cap.SYS_MODULE: "loading modules when a feature is first used",
    Cap.CHECKPOINT_RESTORE: "checkpoints",
}
_ESSENTIAL = frozenset({Cap.SYS_ADMIN, Cap.SETUID, Cap.SETGID, Cap.CHOWN, Cap.DAC_OVERRIDE, Cap.FOWNER, Cap.SETPCAP})


def _has(cap: Cap) -> str:
    if not capget()[0] >> cap & 1:
        raise Lacking("the engine does not have it", f"what is lost: {_LOST[cap]}")
    return ""


def _all() -> str:
    effective = capget()[0]
    missing = [f"CAP_{cap.name}" for cap in Cap if not effective >> cap & 1]
    return f"all but {', '.join(missing)}" if missing else "all"


PROBES = (
    Probe("seccomp", "security", seccomp_filter_works, "containers run without a filter of system calls"),
    Probe("AppArmor", "security", lambda: _module("AppArmor", apparmor_works()), "the other walls stand without it"),
    Probe("SELinux", "security", lambda: _module("SELinux", selinux_works()), "Sampan writes no labels"),
    Probe("capabilities", "security", _all),
    *(Probe(f"CAP_{cap.name}", "security", partial(_has, cap), needed=cap in _ESSENTIAL) for cap in _LOST),
)
