"""From a request to the messages that carry it: what is to be done, as data. Pure: nothing here touches the host.

The daemon's side only. `world` comes first and depends on few things, so that a parked slot can have done it; `root` needs
the image; `enter` needs the control groups to stand. The order inside each list is the order on the kernel, and the
comments there say why.
"""

from __future__ import annotations

import os

from sampan.kernel.caps import last_cap
from sampan.kernel.namespaces import Clone
from sampan.runtime import group_plan, user_plan
from sampan.runtime.seccomp_compile import compiled
from sampan.runtime.seccomp_policy import filter_flags
from sampan.runtime.world_plan import (
    OWN_INSTANCES,
    Step,
    covers,
    dev,
    device,
    has_new,
    is_v2,
    network_sysctls,
    visible,
    world,
)
from sampan.spec import oci_runtime as oci
from sampan.spec.rootfs import OverlayRoot, RootMount, ServedRoot
from sampan.telemetry import request_id

# Each call of `sampan-oci` loads this module, and these are the daemon's.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sampan.cgroups.plan import CgroupPlan
    from sampan.network.plan import LinkPlan
    from sampan.runtime.request import AttachSpec, ExecRequest, FollowRequest, LinkChange, LogSpec, StartRequest, Stdio
    from sampan.spec.user_maps import UserMaps

Json = dict[str, object]

NAMESPACE_FLAGS = {
    "pid": Clone.NEWPID,
    "network": Clone.NEWNET,
    "mount": Clone.NEWNS,
    "ipc": Clone.NEWIPC,
    "uts": Clone.NEWUTS,
    "cgroup": Clone.NEWCGROUP,
    "user": Clone.NEWUSER,
    "time": Clone.NEWTIME,
}
_FLAGS = {kind: int(flag) for kind, flag in NAMESPACE_FLAGS.items()}
_RLIMITS = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
RLIMIT_NUMBERS = {f"RLIMIT_{name}": number for number, name in enumerate(_RLIMITS.split(" "))}
"""Numbers of setrlimit(2) on x86-64 and aarch64."""


def namespace_flags(config: oci.Config) -> Clone:
    """The namespaces that init is born into. A cgroup namespace is made later, inside its group; a time namespace before."""
    # Plain integers on the way: combining members of an enum costs a microsecond each.
    flags = int(Clone.NEWNS)
    for namespace in config.linux.namespaces:
        if not namespace.path and namespace.type not in ("cgroup", "time"):
            flags |= _FLAGS[namespace.type]
    return Clone(flags)


def joined(config: oci.Config) -> list[tuple[str, Clone]]:
    """Namespaces of others: the file that names each, and its flag."""
    return [(ns.path, NAMESPACE_FLAGS[ns.type]) for ns in config.linux.namespaces if ns.path]


def root(
    config: oci.Config,
    groups: dict[str, str],
    *,
    marker: str = ".dockerenv",
    preset: Mapping[str, str] | None = None,
) -> list[Step]:
    """Steps from the overlay to a finished root.

    `marker` is a file that tells programs where they are, "" for none; `preset` as for `world`.
    """
    done = network_sysctls(config) if preset is None else preset
    steps: list[Step] = [["pivot"]]
    steps += _mounts(config, groups)
    # Kernel parameters before the covers: on kernels that cover late, /proc/sys can still be written here.
    if config.hostname or config.domainname:
        steps.append(["host_names", config.hostname, config.domainname])
    more = {
        key: value
        for key, value in config.linux.sysctl.items()
        if not has_new(config, "network") or done.get(key) != value
    }
    if more:
        steps.append(["sysctl", more])
    steps.append(["deferred"])
    if marker:
        steps.append(["marker", marker])
    if config.linux.devices and config.linux.users is None:
        steps.append(["more_devices", [device(each) for each in config.linux.devices]])
    if config.process.terminal:
        size = config.process.console_size
        steps.append(["terminal", size.height if size else 0, size.width if size else 0])
    # The directory is made while the root may still be written, and before anything is hidden.
    steps.append(["make_workdir", config.process.cwd])
    steps += covers(config, ahead=False)
    if config.root.readonly:
        steps.append(["readonly_root"])
    return steps


def _mounts(config: oci.Config, groups: dict[str, str]) -> list[Step]:
    steps: list[Step] = []
    binds = 0
    for mount in config.mounts:
        destination, options = mount.destination, list(mount.options)
        if mount.type == "bind":
            steps.append(["bind", binds, destination])
            binds += 1
        elif mount.type == "cgroup":
            if not is_v2(groups):
                steps += _show_cgroup_v1(destination, options, groups)
        elif destination in OWN_INSTANCES or destination == "/dev/shm":
            steps.append(["show", destination, options])
        else:
            steps.append(["tmpfs", destination, options])
    return steps


def _show_cgroup_v1(destination: str, options: list[str], groups: dict[str, str]) -> list[Step]:
    steps: list[Step] = [["show", destination, []]]
    steps += [["show", f"{destination}/{name}", []] for name in sorted(visible(groups))]
    if "ro" in options:
        steps.append(["make_readonly", destination])
    return steps


def enter(config: oci.Config, groups: dict[str, str]) -> list[Step]:
    """Steps after the move into the control groups, up to the execve."""
    steps: list[Step] = []
    if has_new(config, "cgroup"):
        steps.append(["cgroup_namespace"])
    if is_v2(groups):
        steps += [["cgroup_v2", list(mount.options)] for mount in config.mounts if mount.type == "cgroup"]
    return steps + confined(config.process) + program(config.process, config.linux.seccomp, config.linux.users)


def confined(process: oci.Process) -> list[Step]:
    """The step that names the program's profile of AppArmor, where it has one. That of an exec comes ahead of the namespaces it
    joins: in a user namespace there is no procfs to be had but of the pid namespaces that it owns.
    """
    return [["confine", process.apparmor_profile]] if process.apparmor_profile else []


def _limits(process: oci.Process) -> list[list[int]]:
    return [[RLIMIT_NUMBERS[limit.type], limit.soft, limit.hard] for limit in process.rlimits]


def program(process: oci.Process, seccomp: oci.Seccomp | None, users: UserMaps | None = None) -> list[Step]:
    """Steps from the container's root to the program: limits, directory, user, filter, arguments."""
    steps: list[Step] = []
    if process.rlimits and users is None:
        steps.append(["rlimits", _limits(process)])
    caps = process.capabilities
    sets = {
        "bounding": caps.bounding,
        "effective": caps.effective,
        "permitted": caps.permitted,
        "inheritable": caps.inheritable,
        "ambient": caps.ambient,
    }
    filtered = compiled(seccomp, os.uname().machine).hex() if seccomp is not None else ""
    flags = filter_flags(seccomp) if seccomp is not None else 0
    user = process.user
    # Into the directory first: afterwards it may be closed to the user (runc does the same).
    steps.append(["workdir", process.cwd])
    who = [user.name, user.additional_groups, sets]
    steps.append(["become", *who, last_cap(), process.no_new_privileges, filtered, flags])
    steps.append(["find", process.args, process.env])
    steps.append(["arguments", process.args])
    return steps


def user_members(config: oci.Config) -> Json | None:
    """The member `users` of START and PARK; None without a user namespace. Raises StartFailed."""
    maps = config.linux.users
    return user_plan.body(config, maps, dev(config, maps), _limits(config.process)) if maps is not None else None


def user_members_of_exec(process: oci.Process, users: UserMaps | None) -> Json | None:
    """The member `users` of EXEC; None without a user namespace."""
    return user_plan.of_exec(users, _limits(process))


def link(plan: LinkPlan) -> Json:
    """The link as the launcher's side reads it."""
    return {name: getattr(plan, name) for name in plan.__slots__}


def _root_mount(mount: RootMount, volatile: bool) -> Json:
    if isinstance(mount, ServedRoot):
        return {"served": True}
    if isinstance(mount, OverlayRoot):
        return {
            "plain": "",
            "lowers": mount.lowers,
            "upper": mount.upper,
            "work": mount.work,
            "volatile": volatile,
        }
    return {"plain": mount.path}


def _log(log: LogSpec) -> Json:
    return {
        "path": log.path,
        "max_size": log.max_size,
        "max_files": log.max_files,
        "attributes": log.attributes,
        "format": log.format,
        "compress": log.compress,
        "buffer": log.buffer,
    }


def _stdio(stdio: Stdio) -> Json:
    return {"tty": stdio.tty, "open_stdin": stdio.open_stdin, "stdin_once": stdio.stdin_once, "tied": stdio.tied}


def attaches(specs: Sequence[AttachSpec]) -> list[Json]:
    """Clients' connections; each one's descriptor travels beside."""
    return [
        {
            "stdin": spec.stdin,
            "stdout": spec.stdout,
            "stderr": spec.stderr,
            "pending": spec.pending.decode("latin-1"),
            "keys": spec.detach_keys.decode("latin-1"),
            "framed": spec.framed,
            "after": spec.after,
        }
        for spec in specs
    ]


def follow(request: FollowRequest, container: str, directory: str, init: tuple[int, int]) -> Json:
    """The FOLLOW message. Its descriptors are: the client, pidfds of program and monitor, the log's files.

    `directory` holds the record of the run; `init` (pid and start time of the program) tells it from the next one's.
    """
    query = request.query
    return {
        "id": container,
        "directory": directory,
        "init": list(init),
        "path": request.path,
        "query": {name: getattr(query, name) for name in ("stdout", "stderr", "since", "until")},
        "tty": request.tty,
        "chunked": request.chunked,
        "timestamps": request.timestamps,
        "details": request.details,
    }


def start(request: StartRequest, directory: str, parked_with: CgroupPlan | None = None, net: str = "") -> Json:
    """The START message. Its descriptors are: the root, where a program serves it; binds in order, namespaces to join, held
    ports, clients.

    `net` is the directory in which sampan-net listens. `parked_with` is what a slot's groups were made with: its world stands,
    and those writes are done.
    """
    config, groups = request.config, request.cgroup.groups
    log = request.log
    announced: list[Step] = [["announce", request.link.mac]] if request.link is not None else []
    return {
        "id": request.id,
        "container": request.id,
        "directory": directory,
        "flags": int(namespace_flags(config)),
        "joins": [int(flag) for _, flag in joined(config)],
        "binds": sum(mount.type == "bind" for mount in config.mounts),
        "held": len(request.held),
        "world": [] if parked_with else world(config, request.id, groups, request.link is not None),
        "before": interfaces(request) + ([["resolver", net, request.id]] if request.resolver else []),
        "root": root(config, groups),
        "enter": announced + enter(config, groups),
        "users": user_members(config),
        "names": net if request.resolver else "",
        "root_mount": _root_mount(request.root, request.volatile),
        "cgroup": group_plan.body(request.cgroup, parked_with),
        "link": link(request.link) if request.link is not None else None,
        "more_links": [link(pair) for pair in request.more_links],
        "stdio": _stdio(request.stdio),
        "log": _log(log) if log.path else None,
        "attach": attaches(request.attach),
        "oom_score_adj": config.process.oom_score_adj,
        "init": config.init,
        "explain": request.explain,
        "request_id": request_id.current(),
    }


def interfaces(request: StartRequest) -> list[Step]:
    """Steps that configure the container's ends of its pairs, in its network namespace."""
    first: list[Step] = [["interface", link(request.link)]] if request.link is not None else []
    return first + [["further_interface", link(pair)] for pair in request.more_links]


def relink(container: str, change: LinkChange) -> Json:
    """The RELINK message. Its descriptors are: the channel for the answer, a pidfd of the container's init."""
    return {
        "id": container,
        "add": link(change.add) if change.add is not None else None,
        "remove": link(change.remove) if change.remove is not None else None,
        "gateway": change.gateway,
        "gateway6": change.gateway6,
        "straight": change.straight,
        "straight6": change.straight6,
    }


def park(
    container: str,
    directory: str,
    config: oci.Config,
    cgroup: CgroupPlan,
    pair: LinkPlan | None,
    steps: list[Step],
) -> Json:
    """The PARK message: a world without a program."""
    return {
        "id": container,
        "directory": directory,
        "park": [pair.name, pair.ipv6] if pair is not None else [],
        "flags": int(namespace_flags(config)),
        "joins": [],
        "binds": 0,
        "world": steps,
        "users": user_members(config),
        "cgroup": group_plan.body(cgroup, None),
        "link": link(pair) if pair is not None else None,
    }


def execute(request: ExecRequest, directory: str, namespaces: Clone) -> Json:
    """The EXEC message. Its descriptors are: a pidfd of the container's init, clients. `namespaces` are the container's own."""
    process = request.process
    size = process.console_size
    terminal: list[Step] = []
    if process.terminal:
        terminal.append(["terminal", size.height if size else 0, size.width if size else 0])
    return {
        "id": request.id,
        "container": request.container,
        "exec": True,
        "directory": directory,
        "joins": int(namespaces | (Clone.NEWUSER if request.users is not None else Clone(0))),
        "ahead": confined(process),
        "root": ([["root_inside"]] if request.users is not None else []) + terminal,
        "enter": program(process, request.seccomp, request.users),
        "users": user_members_of_exec(process, request.users),
        "cgroup": {"groups": request.cgroup.groups},
        "stdio": _stdio(request.stdio),
        "log": None,
        "attach": attaches(request.attach),
        "oom_score_adj": process.oom_score_adj,
        "explain": request.explain,
        "request_id": request_id.current(),
    }
