"""What a daemon of an ordinary user cannot do for a container, refused by name; and devices, which it borrows.

Such a daemon is root of a user namespace (docs/rootless.md): process ids and control groups of the machine belong to a root
above it, and the kernel lets it make no device node.
"""

import os
from collections.abc import Iterator

from sampan.daemon import userns_mode
from sampan.errors import NotImplementedHere
from sampan.runtime import profile_devices
from sampan.spec import oci_runtime as oci
from sampan.spec.host_config import HostConfig

_OPTIONS = ("rbind", "rprivate")


def refuse(host: HostConfig, *, without_groups: bool) -> None:
    """Raise NotImplementedHere for a request that needs the machine's own root."""
    if host.pid_mode == "host":
        raise NotImplementedHere("--pid=host is not possible in rootless mode: the machine's process ids are not ours")
    if host.ipc_mode == "host":
        raise NotImplementedHere("--ipc=host is not possible in rootless mode: the machine's IPC namespace is not ours")
    if userns_mode.asked(host).kind not in ("default", "host"):
        raise NotImplementedHere(
            "--userns=auto and its like are not implemented in rootless mode: containers have the users of who runs the daemon"
        )
    if without_groups and host.pid_mode:
        # Its processes would outlive it: they go with the first of a pid namespace, or with their control group.
        raise NotImplementedHere(
            f"--pid={host.pid_mode} is not possible in rootless mode without delegated control groups"
        )
    if host.cgroupns_mode == "host":
        # CVE-2023-25809: what would be shown are control groups of the machine, writable for their owner.
        raise NotImplementedHere("--cgroupns=host is not possible in rootless mode: use --cgroupns=private")
    for port in host.port_bindings or {}:
        if port.endswith("/sctp"):
            raise NotImplementedHere(f"SCTP ports ({port}) cannot be published in rootless mode")


def oom_score_adj(asked: int, *, is_rootless: bool) -> int | None:
    """What is to be written; None where an ordinary user asks for nothing and the daemon's own value stays.

    Nobody without the machine's CAP_SYS_RESOURCE goes below what it began with (proc_pid_oom_score_adj(5)), and under systemd a
    user's programs begin at 100 or 200.
    """
    return None if is_rootless and asked == 0 else asked


def devices(host: HostConfig, present: frozenset[str]) -> Iterator[oci.Mount]:
    """The devices of a container as binds of the machine's own nodes; of a privileged one those that the user may read.

    `present` are nodes that every container has. Raises InvalidParameter for what is no device.
    """
    if host.privileged:
        for device in profile_devices.all_of_host():
            if device.path not in present and os.access(device.path, os.R_OK):
                yield oci.Mount(device.path, "bind", device.path, _OPTIONS)
    for asked in host.devices or ():
        inside = asked.path_in_container or asked.path_on_host
        nodes, _ = profile_devices.from_path(asked.path_on_host, inside, asked.cgroup_permissions)
        for node in nodes:
            if node.path not in present:
                yield oci.Mount(node.path, "bind", asked.path_on_host + node.path[len(inside) :], _OPTIONS)
