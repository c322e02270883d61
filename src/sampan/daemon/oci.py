"""From what was asked to what the runtime is told: a container's definition as an OCI configuration. Pure.

Everything that depends on the moment comes in as `Surroundings` (the host, the daemon's defaults) and `Joined` (the
containers whose namespaces are shared, the mounts with their sources found).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sampan.daemon import cgroup_conf, device_requests, environment, rootless
from sampan.daemon.config_values import Ulimit
from sampan.daemon.definition import Definition
from sampan.runtime import profile_capabilities, profile_devices, profile_files, profile_options, profile_sysctl
from sampan.runtime.seccomp_document import for_container
from sampan.runtime.seccomp_policy import Kernel
from sampan.spec import oci_runtime as oci
from sampan.spec.host_config import HostConfig, Resources
from sampan.spec.user_maps import UserMaps

_CPU_PERIOD = 100_000
_NANO = 1_000_000_000
_EVERYWHERE = frozenset(
    f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")
)
"""Nodes and links that the runtime makes in every /dev."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The host and the daemon's defaults, as far as a container's configuration depends on them. Read once at start."""

    capabilities: tuple[str, ...]
    """what the daemon itself has, and so can give"""
    machine: str
    kernel: Kernel
    apparmor: bool
    """the kernel has it"""
    thermal: tuple[str, ...]
    cgroup_v2: bool
    ulimits: tuple[Ulimit, ...] = ()
    seccomp: str = "builtin"
    apparmor_default: str = ""
    """the profile of containers that ask for none; "" for none"""
    init: bool = False
    no_new_privileges: bool = False
    cgroup_parent: str = ""
    systemd: bool = False
    """control groups are systemd's scopes"""
    rootless: bool = False
    without_groups: bool = False
    """containers have no control groups of their own"""
    cdi_spec_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """What other parts prepared for this start."""

    hostname: str = ""
    domainname: str = ""
    """the container's own names, or those of the container whose network it shares"""
    mounts: tuple[oci.Mount, ...] = ()
    """volumes, binds, tmpfs and the files of /etc, in the order in which they are mounted"""
    pids: Mapping[str, int] = field(default_factory=dict)
    """host pids of the containers whose namespaces are joined, by namespace: pid, ipc, network"""
    linked: tuple[str, ...] = ()
    """the variables of its links"""
    shm: str = ""
    """directory on the host that is to be /dev/shm (ipc mode host, shareable, container:…)"""


def configuration(definition: Definition, around: Surroundings, joined: Joined) -> oci.Config:
    """The configuration of one start. Raises InvalidParameter for what only shows now (a device that is gone)."""
    host = definition.host
    options = profile_options.parse(host.security_opt or (), no_new_privileges=around.no_new_privileges)
    caps = profile_capabilities.granted(host.cap_add or (), host.cap_drop or (), host.privileged, around.capabilities)
    namespaces = _namespaces(host, joined.pids, definition.users)
    own = {namespace.type for namespace in namespaces if not namespace.path}
    devices, rules = _devices(host)
    if around.rootless:
        borrowed = tuple(rootless.devices(host, _EVERYWHERE))
        devices, joined = (), replace(joined, mounts=(*joined.mounts, *borrowed))
    uts_of_host = host.uts_mode == "host"
    config = oci.Config(
        process=_process(definition, around, options, caps, joined),
        # Empty names leave what the host has.
        hostname="" if uts_of_host else joined.hostname,
        domainname="" if uts_of_host else joined.domainname,
        root=oci.Root(readonly=host.readonly_rootfs),
        mounts=_mounts(host, options, joined, definition.users),
        linux=oci.Linux(
            namespaces=namespaces,
            devices=devices,
            cgroups_path=f"{cgroup_parent(host, around)}/{definition.id}".lstrip("/"),
            resources=resources(host, rules, _block_limits(host)),
            sysctl=profile_sysctl.requested(
                host.sysctls or {}, own_network="network" in own, own_ipc="ipc" in own, own_uts="uts" in own
            ),
            seccomp=for_container(
                options.seccomp, host.privileged, caps, around.machine, around.kernel, around.seccomp
            ),
            masked_paths=profile_files.masked_paths(_tuple(host.masked_paths), host.privileged, around.thermal),
            readonly_paths=profile_files.read_only_paths(_tuple(host.readonly_paths), host.privileged),
            users=definition.users,
        ),
        init=wants_init(host, default=around.init),
    )
    requests = host.device_requests or ()
    return device_requests.applied(config, requests, around.cdi_spec_dirs, borrows=around.rootless)


def cgroup_parent(host: HostConfig, around: Surroundings) -> str:
    """The group below which the engine's own is to stand; empty for the top."""
    return host.cgroup_parent or around.cgroup_parent


def wants_init(host: HostConfig, *, default: bool) -> bool:
    """Whether a reaper stands in front: only where pid 1 is the container's own."""
    own_pids = not (host.pid_mode == "host" or host.pid_mode.startswith("container:"))
    return own_pids and (default if host.init is None else host.init)


def _tuple(paths: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if paths is None else tuple(paths)


def _process(
    definition: Definition,
    around: Surroundings,
    options: profile_options.SecurityOptions,
    caps: tuple[str, ...],
    joined: Joined,
) -> oci.Process:
    config, host = definition.config, definition.host
    size = host.console_size
    return oci.Process(
        args=(definition.path, *definition.args),
        env=environment.of_program(config.env or (), joined.hostname, tty=config.tty, linked=joined.linked),
        cwd=config.working_dir or "/",
        user=oci.User(name=config.user, additional_groups=tuple(host.group_add or ())),
        terminal=config.tty,
        console_size=oci.ConsoleSize(height=size[0], width=size[1]) if config.tty and size and any(size) else None,
        capabilities=profile_capabilities.as_sets(caps),
        rlimits=rlimits(host, around.ulimits),
        no_new_privileges=options.no_new_privileges,
        oom_score_adj=rootless.oom_score_adj(host.oom_score_adj, is_rootless=around.rootless),
        apparmor_profile=apparmor_profile(options, around, privileged=host.privileged),
    )


def apparmor_profile(options: profile_options.SecurityOptions, around: Surroundings, *, privileged: bool) -> str:
    """What a container enters; "" for none. Raises InvalidParameter."""
    return profile_options.apparmor_profile(
        options.apparmor, on_host=around.apparmor, default=around.apparmor_default, privileged=privileged
    )


def rlimits(host: HostConfig, defaults: Sequence[Ulimit]) -> tuple[oci.Rlimit, ...]:
    """The request's limits, and the daemon's for names that the request does not have."""
    asked = {limit.name: (limit.soft, limit.hard) for limit in host.ulimits or ()}
    for limit in defaults:
        asked.setdefault(limit.name, (limit.soft, limit.hard))
    return tuple(profile_options.rlimit(name, soft, hard) for name, (soft, hard) in asked.items())


def _namespaces(host: HostConfig, pids: Mapping[str, int], users: UserMaps | None) -> tuple[oci.Namespace, ...]:
    found = [oci.Namespace(type="mount")]
    modes = {"network": host.network_mode, "uts": host.uts_mode, "pid": host.pid_mode, "ipc": host.ipc_mode}
    for kind, mode in modes.items():
        if kind in pids:
            file = "net" if kind == "network" else kind
            found.append(oci.Namespace(type=kind, path=f"/proc/{pids[kind]}/ns/{file}"))
        elif mode != "host":
            found.append(oci.Namespace(type=kind))
    if host.cgroupns_mode == "private":
        found.append(oci.Namespace(type="cgroup"))
    if users is not None:
        # Who shares another's namespaces shares its users, who own them.
        donors = [pids[kind] for kind in ("user", "network", "ipc", "pid") if kind in pids]
        found.append(oci.Namespace(type="user", path=f"/proc/{donors[0]}/ns/user" if donors else ""))
    return tuple(found)


def _mounts(
    host: HostConfig, options: profile_options.SecurityOptions, joined: Joined, users: UserMaps | None
) -> tuple[oci.Mount, ...]:
    asked = {mount.destination for mount in joined.mounts}
    shm = 0 if joined.shm or host.ipc_mode == "none" else host.shm_size
    own = profile_files.mounts(shm_size=shm, privileged=host.privileged, writable_cgroups=options.writable_cgroups)
    kept = [
        mount
        for mount in own
        if mount.destination not in asked and not ("/dev" in asked and mount.destination.startswith("/dev/"))
    ]
    if users is not None and host.ipc_mode == "host":
        # The host's queues are shown by the host's root only.
        kept = [mount for mount in kept if mount.destination != "/dev/mqueue"]
    if joined.shm and "/dev/shm" not in asked:
        kept.append(oci.Mount(destination="/dev/shm", type="bind", source=joined.shm, options=("rbind", "rprivate")))
    return (*kept, *joined.mounts)


def _devices(host: HostConfig) -> tuple[tuple[oci.Device, ...], tuple[oci.DeviceRule, ...]]:
    devices: list[oci.Device] = []
    rules: list[oci.DeviceRule] = []
    if host.privileged:
        devices += [device for device in profile_devices.all_of_host() if device.path not in _EVERYWHERE]
    for asked in host.devices or ():
        if host.privileged and asked.path_on_host == asked.path_in_container:
            continue
        nodes, allowed = profile_devices.from_path(
            asked.path_on_host, asked.path_in_container or asked.path_on_host, asked.cgroup_permissions
        )
        devices += [node for node in nodes if node.path not in _EVERYWHERE]
        rules += allowed
    rules += [profile_devices.parse_rule(rule) for rule in host.device_cgroup_rules or ()]
    return tuple(devices), profile_devices.rules(host.privileged, rules)


def _block_limits(host: HostConfig) -> tuple[oci.BlockLimit, ...]:
    """What is asked for paths, for the devices that they name now. Raises InvalidParameter."""
    asked = [("weight", each.path, each.weight) for each in host.blkio_weight_device or ()]
    for what, throttles in (
        ("read_bps", host.blkio_device_read_bps),
        ("write_bps", host.blkio_device_write_bps),
        ("read_iops", host.blkio_device_read_iops),
        ("write_iops", host.blkio_device_write_iops),
    ):
        asked += [(what, each.path, each.rate) for each in throttles or ()]
    return tuple(oci.BlockLimit(what, *profile_devices.numbers(path), value) for what, path, value in asked)


def resources(
    host: HostConfig, rules: tuple[oci.DeviceRule, ...] = (), blocks: tuple[oci.BlockLimit, ...] = ()
) -> oci.Resources:
    """Docker's units to the specification's; a memory limit alone allows as much swap again."""
    return oci.Resources(
        devices=rules,
        memory=oci.Memory(
            limit=host.memory or None,
            reservation=host.memory_reservation or None,
            swap=max(host.memory_swap, -1) or None,
            swappiness=host.memory_swappiness,
            disable_oom_killer=bool(host.oom_kill_disable),
        ),
        cpu=_cpu(host),
        pids_limit=host.pids_limit,
        blkio_weight=host.blkio_weight or None,
        block_limits=blocks,
        kernel_tcp=host.kernel_memory_tcp if host.kernel_memory_tcp > 0 else None,
        unified=cgroup_conf.asked(host.annotations),
    )


def _cpu(host: Resources) -> oci.Cpu:
    quota, period = host.cpu_quota or None, host.cpu_period or None
    if host.nano_cpus:
        quota, period = host.nano_cpus * _CPU_PERIOD // _NANO, _CPU_PERIOD
    return oci.Cpu(
        shares=host.cpu_shares or None,
        quota=quota,
        period=period,
        realtime_runtime=host.cpu_realtime_runtime or None,
        realtime_period=host.cpu_realtime_period or None,
        cpus=host.cpuset_cpus,
        mems=host.cpuset_mems,
    )
