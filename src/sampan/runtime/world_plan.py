"""The world of a container as steps: what needs neither its image nor an address, so that a parked slot can have done it. Pure."""

from collections.abc import Mapping

from sampan.host.mapped import highest_group
from sampan.runtime import user_plan
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import UserMaps

Step = list[object]

DEFAULT_DEVICES: tuple[tuple[str, int, int], ...] = (
    ("null", 1, 3),
    ("random", 1, 8),
    ("full", 1, 7),
    ("tty", 5, 0),
    ("zero", 1, 5),
    ("urandom", 1, 9),
)
"""Nodes that every container gets (runtime-spec, config-linux.md, "Default Devices")."""
NETWORK_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    # Not beyond what is mapped: the kernel refuses a group that this user namespace does not have.
    "net.ipv4.ping_group_range": f"0 {min(highest_group(), 2147483647)}",
}
"""What Docker sets in every private network namespace."""
OWN_INSTANCES = {"/proc": "proc", "/sys": "sysfs", "/dev": "dev", "/dev/pts": "devpts", "/dev/mqueue": "mqueue"}


def has_new(config: oci.Config, kind: str) -> bool:
    """Whether the container gets a namespace of its own of this kind."""
    return any(ns.type == kind and not ns.path for ns in config.linux.namespaces)


def world(
    config: oci.Config,
    container: str,
    groups: dict[str, str],
    linked: bool,
    *,
    preset: Mapping[str, str] | None = None,
) -> list[Step]:
    """Steps that need neither image nor address. Equal lists mean that a parked slot's world is the one asked for.

    `linked` says that a link comes later, and with it the loopback; `preset` are kernel parameters of a private network namespace,
    `network_sysctls` unless given.
    """
    steps: list[Step] = [["session_keyring", f"_ses.{container}"]]
    users = config.linux.users
    if users is not None:
        steps.append(user_plan.world(users, dev(config, users)))
    for mount in config.mounts:
        own = OWN_INSTANCES.get(mount.destination)
        options = list(mount.options)
        if own == "dev" and mount.type == "tmpfs":
            if users is None:
                steps.append([own, options, _default_nodes()])
        elif own is not None and mount.type == own:
            steps.append([own, options])
        elif mount.destination == "/dev/shm" and mount.type == "tmpfs":
            steps.append(["shm", options])
        elif mount.type == "cgroup" and not is_v2(groups):
            steps.append(["cgroup_v1", options, sorted([name, path] for name, path in visible(groups).items())])
    if has_new(config, "network"):
        values = network_sysctls(config) if preset is None else dict(preset)
        if values:
            steps.append(["sysctl", values])
        if not linked:
            steps.append(["loopback"])
    return steps + covers(config, ahead=True)


def _default_nodes() -> list[list[object]]:
    return [[name, "c", major, minor, 0o666, 0, 0] for name, major, minor in DEFAULT_DEVICES]


def dev(config: oci.Config, maps: UserMaps) -> list[object] | None:
    """What /dev is made of in a user namespace, every device node included; None where a bind is /dev. Raises StartFailed."""
    for mount in config.mounts:
        if mount.destination == "/dev" and mount.type == "tmpfs":
            nodes = _default_nodes() + [user_plan.device(maps, device(each)) for each in config.linux.devices]
            return [list(mount.options), nodes]
    return None


def network_sysctls(config: oci.Config) -> dict[str, str]:
    """What is set in the container's own network namespace. Groups that may ping are none in a user namespace, as in Docker."""
    if config.linux.users is None:
        return NETWORK_SYSCTLS
    return {key: value for key, value in NETWORK_SYSCTLS.items() if key != "net.ipv4.ping_group_range"}


def covers(config: oci.Config, ahead: bool) -> list[Step]:
    """Read-only and masked paths: `ahead` those on our own /proc and /sys, else those elsewhere."""
    own = tuple(m.destination + "/" for m in config.mounts if m.destination in ("/proc", "/sys") and m.type != "bind")
    # Without a /dev of our own, the null device that covers files is known only once the root stands.
    possible = own if any(m.destination == "/dev" and m.type == "tmpfs" for m in config.mounts) else ()
    steps: list[Step] = []
    for name, paths in (("readonly_paths", config.linux.readonly_paths), ("masked_paths", config.linux.masked_paths)):
        chosen = [path for path in paths if bool(possible and path.startswith(possible)) is ahead]
        if chosen:
            steps.append([name, chosen])
    return steps


def is_v2(groups: dict[str, str]) -> bool:
    """Whether these are all of a pure v2 host."""
    return set(groups) == {"unified"}


def visible(groups: dict[str, str]) -> dict[str, str]:
    """Hierarchies as the container shows them: the bare v2 tree beside v1 is for the engine's own use."""
    return {name: path for name, path in groups.items() if name != "unified"}


def device(node: oci.Device) -> list[object]:
    """A device as `world.make_node` takes it."""
    return [node.path, node.type, node.major, node.minor, node.file_mode, node.uid, node.gid]
