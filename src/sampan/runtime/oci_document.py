"""From a plan to the document that another OCI runtime reads: `config.json` of runtime-spec 1.0.2. The reverse of `oci.translate`.

Pure.

The daemon's side only. What of a container is Sampan's to make (root, sources of binds, the network namespace, who the user is)
is known where the runtime is called, so `oci_driver` puts it in; here stand the places at which it will be found.
"""

from collections.abc import Mapping, Sequence

from sampan.runtime.world_plan import has_new, is_v2, network_sysctls
from sampan.spec import oci_runtime as oci

Json = dict[str, object]

VERSION = "1.0.2"
_UNLIMITED = (1 << 64) - 1
_OURS = frozenset(("idmap", "ridmap", "idmap-if-can", "rro"))
"""Words for Sampan alone: maps, which ask for nothing without a user namespace; and what `sources` has set on the whole tree that
the runtime binds, and a copy of it keeps (crun 1.8.1 fails on `rro` where the source is a file)."""
_CAMEL = {
    "prestart": "prestart",
    "create_runtime": "createRuntime",
    "create_container": "createContainer",
    "start_container": "startContainer",
    "poststart": "poststart",
    "poststop": "poststop",
}
_THROTTLES = {
    "read_bps": "throttleReadBpsDevice",
    "write_bps": "throttleWriteBpsDevice",
    "read_iops": "throttleReadIOPSDevice",
    "write_iops": "throttleWriteIOPSDevice",
}


def document(config: oci.Config, root: str, sources: Sequence[str], groups: Mapping[str, str], below: str) -> Json:
    """The whole of it. `root` and `sources` (of the binds, in order) are where the runtime finds them.

    `groups` are the control groups that stand already, and `below` their path from each hierarchy's top. Namespaces that are
    joined have no path yet, nor has a new network: Sampan makes that.
    """
    linux = config.linux
    sysctls = dict(linux.sysctl)
    if has_new(config, "network"):
        # Written already, where the network was made: by the plan's own step and not by the runtime.
        sysctls = {key: value for key, value in sysctls.items() if not key.startswith("net.")}
    if config.domainname:
        # Older runtimes pass over the member `domainname`.
        sysctls["kernel.domainname"] = config.domainname
    found: Json = {
        "ociVersion": VERSION,
        "process": process(config.process),
        "root": {"path": root, "readonly": config.root.readonly},
        "mounts": _mounts(config.mounts, sources),
        "linux": {
            "namespaces": [{"type": namespace.type} for namespace in linux.namespaces],
            "cgroupsPath": below,
            "devices": [device_node(device) for device in linux.devices],
            "resources": resources(linux.resources, v2=is_v2(dict(groups))),
            "sysctl": sysctls,
            "maskedPaths": list(linux.masked_paths),
            "readonlyPaths": list(linux.readonly_paths),
            "rootfsPropagation": _propagation(config.mounts),
            **({"seccomp": _seccomp(linux.seccomp)} if linux.seccomp is not None else {}),
        },
    }
    if config.hostname:
        found["hostname"] = config.hostname
    if config.hooks:
        found["hooks"] = hooks(config.hooks)
    return found


def hooks(asked: oci.Hooks) -> Json:
    """By the specification's names of the moments."""
    given = {name: getattr(asked, point) for point, name in _CAMEL.items()}
    return {name: [_hook(hook) for hook in each] for name, each in given.items() if each}


def _hook(hook: oci.Hook) -> Json:
    found: Json = {"path": hook.path, "args": list(hook.args), "env": list(hook.env)}
    if hook.timeout:
        found["timeout"] = hook.timeout
    return found


def parameters(config: oci.Config) -> dict[str, str]:
    """Kernel parameters of a new network namespace, for who makes it."""
    if not has_new(config, "network"):
        return {}
    asked = {key: value for key, value in config.linux.sysctl.items() if key.startswith("net.")}
    return {**network_sysctls(config), **asked}


def process(asked: oci.Process) -> Json:
    """A container's or an exec's program; its user is put in where the container's files can be read."""
    sets = asked.capabilities
    found: Json = {
        "terminal": asked.terminal,
        "user": {"uid": 0, "gid": 0},
        "args": list(asked.args),
        "env": list(asked.env),
        "cwd": asked.cwd,
        "capabilities": {
            name: list(getattr(sets, name))
            for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
            if getattr(sets, name)
        },
        "noNewPrivileges": asked.no_new_privileges,
        "rlimits": [
            {
                "type": limit.type,
                "soft": limit.soft if limit.soft >= 0 else _UNLIMITED,
                "hard": limit.hard if limit.hard >= 0 else _UNLIMITED,
            }
            for limit in asked.rlimits
        ],
    }
    if asked.console_size is not None:
        found["consoleSize"] = {"height": asked.console_size.height, "width": asked.console_size.width}
    if asked.oom_score_adj is not None:
        found["oomScoreAdj"] = asked.oom_score_adj
    if asked.apparmor_profile:
        found["apparmorProfile"] = asked.apparmor_profile
    return found


def _mounts(mounts: Sequence[oci.Mount], sources: Sequence[str]) -> list[Json]:
    found: list[Json] = []
    binds = iter(sources)
    for mount in mounts:
        options = [word for word in mount.options if word not in _OURS]
        source = next(binds) if mount.type == "bind" else mount.source or mount.type
        found.append({"destination": mount.destination, "type": mount.type, "source": source, "options": options})
        if mount.type == "bind" and not {"bind", "rbind"} & set(options):
            options.append("bind")
    return found


def _propagation(mounts: Sequence[oci.Mount]) -> str:
    """What the root must be, so that a bind may be shared or a slave (Docker sets the same)."""
    words = {word.removeprefix("r") for mount in mounts if mount.type == "bind" for word in mount.options}
    return "rshared" if "shared" in words else "rslave" if "slave" in words else "rprivate"


def device_node(device: oci.Device) -> Json:
    """As `linux.devices` has it."""
    return {
        "path": device.path,
        "type": device.type,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.file_mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def resources(asked: oci.Resources, *, v2: bool) -> Json:
    """The limits, as the specification has them. What it has no member for is written by Sampan alone, ahead of the runtime."""
    found: Json = {"devices": [device_rule(rule) for rule in asked.devices]}
    memory, cpu = asked.memory, asked.cpu
    members: dict[str, tuple[tuple[str, object], ...]] = {
        "memory": (
            ("limit", memory.limit),
            ("reservation", memory.reservation),
            ("swap", memory.swap),
            ("swappiness", None if v2 else memory.swappiness),
            ("disableOOMKiller", (memory.disable_oom_killer and not v2) or None),
            ("kernelTCP", None if v2 else asked.kernel_tcp),
        ),
        "cpu": (
            ("shares", cpu.shares),
            ("quota", cpu.quota),
            ("period", cpu.period),
            ("realtimeRuntime", cpu.realtime_runtime),
            ("realtimePeriod", cpu.realtime_period),
            ("cpus", cpu.cpus or None),
            ("mems", cpu.mems or None),
        ),
        "pids": (("limit", asked.pids_limit),),
        "blockIO": _block(asked),
    }
    for name, pairs in members.items():
        values = {key: value for key, value in pairs if value is not None}
        if values:
            found[name] = values
    if v2 and asked.unified:
        found["unified"] = dict(asked.unified)
    return found


def _block(asked: oci.Resources) -> tuple[tuple[str, object], ...]:
    weights: list[Json] = []
    throttles: dict[str, list[Json]] = {}
    for limit in asked.block_limits:
        place: Json = {"major": limit.major, "minor": limit.minor}
        if limit.what == "weight":
            weights.append({**place, "weight": limit.value})
        else:
            throttles.setdefault(_THROTTLES[limit.what], []).append({**place, "rate": limit.value})
    return (("weight", asked.blkio_weight), ("weightDevice", weights or None), *throttles.items())


def device_rule(rule: oci.DeviceRule) -> Json:
    """As `linux.resources.devices` has it."""
    found: Json = {"allow": rule.allow, "type": rule.type, "access": rule.access}
    if rule.major is not None:
        found["major"] = rule.major
    if rule.minor is not None:
        found["minor"] = rule.minor
    return found


def _seccomp(policy: oci.Seccomp) -> Json:
    found: Json = {
        "defaultAction": policy.default_action,
        "architectures": list(policy.architectures),
        "syscalls": [_syscall(rule) for rule in policy.syscalls],
    }
    if policy.flags:
        found["flags"] = list(policy.flags)
    if policy.default_errno_ret is not None:
        found["defaultErrnoRet"] = policy.default_errno_ret
    return found


def _syscall(rule: oci.SeccompRule) -> Json:
    found: Json = {"names": list(rule.names), "action": rule.action}
    if rule.errno_ret is not None:
        found["errnoRet"] = rule.errno_ret
    if rule.args:
        found["args"] = [
            {"index": arg.index, "value": arg.value, "valueTwo": arg.value_two, "op": arg.op} for arg in rule.args
        ]
    return found
