"""From a bundle to what the runtime's plan takes. Pure but for the host's facts that it is given.

Whatever a bundle asks for is done or refused by name: a member that is read and not honoured would be a wall that its author
believes in.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.oci import documents, manner, users
from sampan.oci.limits import resources
from sampan.oci.mounts import COPY_UP, PROPAGATIONS, MadeMount, MappedMount, mounts
from sampan.runtime import profile_sysctl, seccomp_document
from sampan.runtime.plan import NAMESPACE_FLAGS, RLIMIT_NUMBERS
from sampan.runtime.seccomp_policy import Kernel, resolve
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import UserMaps

_UNLIMITED = (1 << 64) - 1
_VERSION = re.compile(r"1\.[0-9]+\.[0-9]+([-+].*)?")
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,63}(\.[a-zA-Z0-9_-]{1,63})*")
_ABSENT = (b"", b"null")


@dataclass(frozen=True, slots=True)
class Host:
    """What translation depends on."""

    machine: str
    kernel: Kernel
    capabilities: frozenset[str]
    """what this runtime itself has, and so can give"""
    v2: bool
    """the controllers are on control groups v2"""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A container as it is to be made."""

    config: oci.Config
    rootfs: str
    hooks: documents.Hooks
    umask: int | None
    propagation: str
    filled: dict[str, tuple[str, ...]]
    """destinations of file systems in memory that the caller makes and fills, with their options: binds among the mounts"""
    mapped: dict[int, MappedMount]
    """maps of mounts, by the mount's number among the binds"""
    made: dict[int, MadeMount]
    """file systems that the caller makes, in the same way"""
    manner: manner.Manner
    annotations: dict[str, str]


def arrangement(bundle: documents.Bundle, directory: str, host: Host, joined: UserMaps | None = None) -> Arrangement:
    """What the bundle in `directory` (absolute) asks for. Raises InvalidParameter, NotImplementedHere.

    `joined` are the maps of the user namespace that it names by a path.
    """
    if not _VERSION.fullmatch(bundle.oci_version):
        raise InvalidParameter(f"ociVersion {bundle.oci_version[:40]!r} is not supported: this is 1.2.0")
    if bundle.root is None or not bundle.root.path:
        raise InvalidParameter("root.path is missing in config.json")
    if bundle.process is None:
        raise InvalidParameter("process is missing in config.json")
    linux = bundle.linux or documents.Linux()
    _refuse(("linux.intelRdt", linux.intel_rdt), ("linux.netDevices", linux.net_devices))
    if linux.mount_label:
        raise NotImplementedHere("linux.mountLabel is not implemented: sampan writes no SELinux labels")
    maps = users.maps(linux) or joined
    if linux.rootfs_propagation and linux.rootfs_propagation not in PROPAGATIONS:
        raise InvalidParameter(f"linux.rootfsPropagation: {linux.rootfs_propagation!r} is no propagation")
    for name in (bundle.hostname, bundle.domainname):
        if name and not _NAME.fullmatch(name):
            raise InvalidParameter(f"invalid host or domain name {name[:80]!r}")
    process = program(bundle.process, host)
    mounted = mounts(bundle.mounts or (), directory, users=maps is not None)
    config = oci.Config(
        process=process,
        hostname=bundle.hostname,
        domainname=bundle.domainname,
        root=oci.Root(readonly=bundle.root.readonly),
        mounts=mounted.all,
        linux=oci.Linux(
            namespaces=_namespaces(linux.namespaces or ()),
            devices=tuple(_device(device) for device in linux.devices or ()),
            cgroups_path=linux.cgroups_path,
            resources=resources(linux.resources, v2=host.v2),
            sysctl=_sysctls(linux),
            seccomp=seccomp(linux.seccomp, process.capabilities.bounding, host),
            masked_paths=tuple(linux.masked_paths or ()),
            readonly_paths=tuple(linux.readonly_paths or ()),
            users=maps,
        ),
    )
    _check_names(config)
    rootfs = os.path.normpath(os.path.join(directory, bundle.root.path))
    hooks, annotations = bundle.hooks or documents.Hooks(), bundle.annotations or {}
    filled = {
        mount.destination: mount.options for mount in config.mounts if mount.type == "bind" and COPY_UP in mount.options
    }
    return Arrangement(
        config=config,
        rootfs=rootfs,
        hooks=hooks,
        umask=bundle.process.user.umask,
        propagation=linux.rootfs_propagation,
        filled=filled,
        mapped=mounted.mapped,
        made=mounted.made,
        manner=manner.of_container(bundle.process, linux),
        annotations=annotations,
    )


def _refuse(*members: tuple[str, msgspec.Raw]) -> None:
    for name, value in members:
        if bytes(value) not in _ABSENT:
            raise NotImplementedHere(f"{name} is not implemented")


def program(asked: documents.Process, host: Host) -> oci.Process:
    """A container's or an exec's process. Capabilities that this host does not give are left out, as in runc.

    Raises InvalidParameter, NotImplementedHere.
    """
    if not asked.args or not asked.args[0]:
        raise InvalidParameter("process.args is empty in config.json")
    if not asked.cwd.startswith("/"):
        raise InvalidParameter("process.cwd must be an absolute path")
    if asked.selinux_label:
        raise NotImplementedHere("process.selinuxLabel is not implemented: sampan writes no SELinux labels")
    if any("\0" in text for text in (*asked.args, *(asked.env or ()), asked.cwd)):
        raise InvalidParameter("process: a NUL byte in arguments, environment or directory")
    caps = asked.capabilities or documents.Capabilities()
    size = asked.console_size
    return oci.Process(
        args=asked.args,
        env=tuple(asked.env or ()),
        cwd=asked.cwd,
        user=oci.User(
            name=f"{asked.user.uid}:{asked.user.gid}",
            additional_groups=tuple(str(gid) for gid in asked.user.additional_gids or ()),
        ),
        terminal=asked.terminal,
        console_size=oci.ConsoleSize(height=size.height, width=size.width) if asked.terminal and size else None,
        capabilities=oci.Capabilities(
            bounding=_held(caps.bounding, host),
            effective=_held(caps.effective, host),
            permitted=_held(caps.permitted, host),
            inheritable=_held(caps.inheritable, host),
            # The kernel raises none that is not inheritable, too (capabilities(7)); runc passes over it in the same way.
            ambient=tuple(cap for cap in _held(caps.ambient, host) if cap in (caps.inheritable or ())),
        ),
        rlimits=tuple(_rlimit(limit) for limit in asked.rlimits or ()),
        no_new_privileges=asked.no_new_privileges,
        oom_score_adj=asked.oom_score_adj,
        apparmor_profile=asked.apparmor_profile,
    )


def _held(names: tuple[str, ...] | None, host: Host) -> tuple[str, ...]:
    return tuple(name for name in names or () if name in host.capabilities)


def _rlimit(asked: documents.Rlimit) -> oci.Rlimit:
    if asked.type not in RLIMIT_NUMBERS:
        raise InvalidParameter(f"process.rlimits: {asked.type[:40]!r} is no resource limit")
    if not 0 <= asked.soft <= _UNLIMITED or not 0 <= asked.hard <= _UNLIMITED:
        raise InvalidParameter(f"process.rlimits: {asked.type} is out of range")
    soft, hard = (-1 if value == _UNLIMITED else value for value in (asked.soft, asked.hard))
    return oci.Rlimit(type=asked.type, soft=soft, hard=hard)


def _namespaces(asked: Sequence[documents.Namespace]) -> tuple[oci.Namespace, ...]:
    found: dict[str, oci.Namespace] = {}
    for namespace in asked:
        if namespace.type not in NAMESPACE_FLAGS:
            raise InvalidParameter(f"linux.namespaces: {namespace.type[:40]!r} is no namespace")
        if namespace.type in found:
            raise InvalidParameter(f"linux.namespaces: {namespace.type} stands there twice")
        if namespace.path and not namespace.path.startswith("/"):
            raise InvalidParameter(f"linux.namespaces: the path {namespace.path!r} is not absolute")
        found[namespace.type] = oci.Namespace(type=namespace.type, path=namespace.path)
    if "mount" not in found or found["mount"].path:
        raise NotImplementedHere("a container without a mount namespace of its own is not implemented")
    return tuple(found.values())


def _sysctls(linux: documents.Linux) -> dict[str, str]:
    own = {namespace.type for namespace in linux.namespaces or ()}
    return profile_sysctl.requested(
        linux.sysctl or {}, own_network="network" in own, own_ipc="ipc" in own, own_uts="uts" in own
    )


def _device(asked: documents.Device) -> oci.Device:
    if asked.type not in ("c", "u", "b", "p") or not asked.path.startswith("/"):
        raise InvalidParameter(f"linux.devices: invalid device {asked.path[:80]!r} of type {asked.type[:8]!r}")
    return oci.Device(
        path=os.path.normpath(asked.path),
        type=asked.type,
        major=asked.major,
        minor=asked.minor,
        file_mode=(0o666 if asked.file_mode is None else asked.file_mode) & 0o7777,
        uid=asked.uid or 0,
        gid=asked.gid or 0,
    )


def seccomp(text: msgspec.Raw, caps: tuple[str, ...], host: Host) -> oci.Seccomp | None:
    """The filter in `linux.seccomp`, None for none. Raises InvalidParameter, NotImplementedHere."""
    if bytes(text) in _ABSENT:
        return None
    profile = seccomp_document.parse(bytes(text).decode("utf-8", "replace"), agents=True)
    return None if profile is None else resolve(profile, caps, host.machine, host.kernel)


def _check_names(config: oci.Config) -> None:
    """What must not be changed on the host by the back door (runc refuses the same)."""
    own = {namespace.type for namespace in config.linux.namespaces}
    if (config.hostname or config.domainname) and "uts" not in own:
        raise InvalidParameter("unable to set hostname without a private UTS namespace")
    for paths, kind in ((config.linux.masked_paths, "masked"), (config.linux.readonly_paths, "read-only")):
        if not all(path.startswith("/") for path in paths):
            raise InvalidParameter(f"a {kind} path is not absolute")
