"""What every container's plan depends on beside its own wishes: the machine, and the daemon's settings."""

import os

from sampan.cgroups.hierarchy import Hierarchy, Mode
from sampan.daemon import apparmor, oci
from sampan.daemon.config import DaemonConfig
from sampan.errors import InvalidParameter
from sampan.host.facts import Facts
from sampan.kernel.caps import capget
from sampan.runtime.profile_capabilities import from_mask
from sampan.runtime.profile_files import thermal_throttle_paths
from sampan.runtime.seccomp_policy import kernel_version

_PROFILE_LIMIT = 1 << 20
"""Bytes of a seccomp profile."""


def surroundings(config: DaemonConfig, facts: Facts, hierarchy: Hierarchy, *, systemd: bool) -> oci.Surroundings:
    """Raises InvalidParameter where the seccomp profile that is set cannot be read."""
    return oci.Surroundings(
        capabilities=from_mask(capget()[0]),
        machine=facts.machine,
        kernel=kernel_version(facts.kernel),
        apparmor=facts.apparmor,
        apparmor_default=apparmor.load_default() if facts.apparmor else "",
        thermal=thermal_throttle_paths(),
        cgroup_v2=hierarchy.mode is Mode.V2,
        ulimits=config.ulimits,
        seccomp=_seccomp_setting(config.seccomp_profile),
        init=config.init,
        no_new_privileges=config.no_new_privileges,
        cgroup_parent=config.cgroup_parent,
        systemd=systemd,
        rootless=config.rootless,
        without_groups=hierarchy.mode is Mode.NONE,
        cdi_spec_dirs=config.cdi_spec_dirs,
    )


def _seccomp_setting(setting: str) -> str:
    """`builtin`, `unconfined`, or the text of the profile's file."""
    if setting in ("builtin", "unconfined"):
        return setting
    try:
        descriptor = os.open(setting, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _PROFILE_LIMIT).decode()
        finally:
            os.close(descriptor)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"opening seccomp profile ({setting}) failed: {error}") from error
