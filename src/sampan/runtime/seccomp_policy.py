"""What a seccomp profile says, and what is left of it for one container: pure data and one pure function.

A profile (Docker's `--security-opt seccomp=`) has conditions on capabilities, architecture and kernel. `resolve` decides them
and leaves an `oci.Seccomp`, which `seccomp_compile` turns into a program. Profiles come from `seccomp_default` (built in) and
`seccomp_document` (JSON written by a user).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sampan.errors import InvalidParameter
from sampan.kernel.seccomp import FilterFlag
from sampan.runtime.seccomp_names import NATIVE
from sampan.spec import oci_runtime as oci

ACTIONS = frozenset(
    {
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_LOG",
    }
)
"""Actions that a rule may have anywhere."""
NOTIFY = "SCMP_ACT_NOTIFY"
"""The one more that `sampan-oci` has, where there is an agent to be asked."""
FLAGS = frozenset(f"SECCOMP_FILTER_FLAG_{name}" for name in ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"))
OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
"""Comparisons of an argument, all unsigned. MASKED_EQ holds if `argument & value == value_two`."""

Kernel = tuple[int, int]
"""The first two numbers of a kernel's release."""

# Docker's conditions name a machine as Go does; `uname -m` names it so.
_DOCKER_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a rule. As `includes` every one given must hold, as `excludes` any one that holds drops the rule."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    """Docker's names: amd64, x86, x32, arm64, arm …"""
    min_kernel: Kernel | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with the conditions under which it is part of the profile."""

    rule: oci.SeccompRule
    includes: Conditions = Conditions()
    excludes: Conditions = Conditions()


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile. Either `architectures` is given, or `arch_map` gives the native one and those that go with it."""

    default_action: str
    rules: tuple[Rule, ...]
    default_errno: int | None = None
    architectures: tuple[str, ...] = ()
    arch_map: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    listener_path: str = ""
    listener_metadata: str = ""


def resolve(profile: Profile, caps: Collection[str], machine: str, kernel: Kernel) -> oci.Seccomp:
    """`profile` for a container whose bounding set is `caps` (`CAP_CHOWN` …) on a machine (`uname -m`) with a kernel.

    Raises InvalidParameter for a machine without system call tables.
    """
    native = NATIVE.get(machine)
    if native is None:
        raise InvalidParameter(f"seccomp profiles cannot be compiled for the machine {machine!r}")
    arch = _DOCKER_ARCH[machine]
    architectures = profile.architectures
    if native in profile.arch_map:
        architectures = (native, *profile.arch_map[native])
    return oci.Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno,
        architectures=architectures,
        syscalls=tuple(rule.rule for rule in profile.rules if _applies(rule, caps, arch, kernel)),
        flags=profile.flags,
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
    )


def filter_flags(policy: oci.Seccomp) -> int:
    """The flags of seccomp(2) with which the filter is installed."""
    flags = FilterFlag.NEW_LISTENER if policy.listener_path else FilterFlag(0)
    for name in policy.flags:
        flags |= FilterFlag[name.removeprefix("SECCOMP_FILTER_FLAG_")]
    return int(flags)


def _applies(rule: Rule, caps: Collection[str], arch: str, kernel: Kernel) -> bool:
    excludes, includes = rule.excludes, rule.includes
    if arch in excludes.arches or any(cap in caps for cap in excludes.caps):
        return False
    if excludes.min_kernel is not None and kernel >= excludes.min_kernel:
        return False
    if includes.arches and arch not in includes.arches:
        return False
    if includes.min_kernel is not None and kernel < includes.min_kernel:
        return False
    return all(cap in caps for cap in includes.caps)


def kernel_version(release: str) -> Kernel:
    """The first two numbers of `uname -r`: (6, 18) for `6.18.44-cloud`, (3, 12) for `3.12-rc5`. Raises ValueError."""
    major, _, rest = release.partition(".")
    minor = ""
    for digit in rest:
        if not digit.isdecimal():
            break
        minor += digit
    return int(major), int(minor)
