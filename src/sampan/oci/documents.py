"""A bundle's `config.json` and an exec's `process.json` as others write them (runtime-spec 1.2, config.md, config-linux.md).

All members that a Linux runtime has to look at are here, so that what is asked for and cannot be given is refused by name
(`translate`) and never passed over. Members that the specification does not know are ignored, as it demands.
"""

import os
import stat
from typing import Annotated

import msgspec

from sampan.errors import InvalidParameter

LONGEST = 16 << 20
"""Bytes of a document. Docker's are some 20 KB."""

Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]


class Struct(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Base: camelCase on the wire, immutable."""


class User(Struct, frozen=True):
    """Numbers inside the container."""

    uid: Unsigned32 = 0
    gid: Unsigned32 = 0
    umask: Unsigned32 | None = None
    additional_gids: tuple[Unsigned32, ...] | None = None


class Capabilities(Struct, frozen=True):
    """Sets by name."""

    bounding: tuple[str, ...] | None = None
    effective: tuple[str, ...] | None = None
    permitted: tuple[str, ...] | None = None
    inheritable: tuple[str, ...] | None = None
    ambient: tuple[str, ...] | None = None


class Rlimit(Struct, frozen=True):
    """`RLIMIT_NOFILE` and so on; unlimited is the largest number."""

    type: str
    soft: int
    hard: int


class ConsoleSize(Struct, frozen=True):
    """Rows and columns."""

    height: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] = 0
    width: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] = 0


class Process(Struct, frozen=True):
    """The program."""

    args: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    cwd: str = ""
    user: User = User()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] | None = None
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""
    selinux_label: str = ""
    scheduler: msgspec.Raw = msgspec.Raw()
    io_priority: msgspec.Raw = msgspec.Raw()
    exec_cpu_affinity: msgspec.Raw = msgspec.field(name="execCPUAffinity", default=msgspec.Raw())


class Root(Struct, frozen=True):
    """A directory, relative to the bundle or absolute."""

    path: str
    readonly: bool = False


class Mount(Struct, frozen=True):
    """One mount, in order."""

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] | None = None
    uid_mappings: tuple[msgspec.Raw, ...] | None = None
    gid_mappings: tuple[msgspec.Raw, ...] | None = None


class Hook(Struct, frozen=True):
    """A program of the host that is run at a point of a container's life; `timeout` in seconds."""

    path: str
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    timeout: Annotated[int, msgspec.Meta(gt=0)] | None = None


class Hooks(Struct, frozen=True):
    """By the specification's points; `prestart` is its old name for createRuntime, and still what Docker's network uses."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class Namespace(Struct, frozen=True):
    """`path` joins one that is there."""

    type: str
    path: str = ""


class Device(Struct, frozen=True):
    """A node to be made."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: Unsigned32 | None = None
    uid: Unsigned32 | None = None
    gid: Unsigned32 | None = None


class DeviceRule(Struct, frozen=True):
    """Of the device controller."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Struct, frozen=True):
    """Bytes; -1 is no limit."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)


class Cpu(Struct, frozen=True):
    """Microseconds, shares, lists of processors."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Struct, frozen=True):
    """0 and less are no limit."""

    limit: int = 0


class BlockDevice(Struct, frozen=True):
    """A weight or a rate of one device."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None
    rate: int = 0


class BlockIo(Struct, frozen=True):
    """Limits of block I/O."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: tuple[BlockDevice, ...] | None = None
    throttle_read_bps_device: tuple[BlockDevice, ...] | None = None
    throttle_write_bps_device: tuple[BlockDevice, ...] | None = None
    throttle_read_iops_device: tuple[BlockDevice, ...] | None = msgspec.field(
        name="throttleReadIOPSDevice", default=None
    )
    throttle_write_iops_device: tuple[BlockDevice, ...] | None = msgspec.field(
        name="throttleWriteIOPSDevice", default=None
    )


class HugePages(Struct, frozen=True):
    """`page_size` as the kernel names it: 2MB."""

    page_size: str
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0


class InterfacePriority(Struct, frozen=True):
    """Of net_prio."""

    name: str
    priority: Unsigned32


class Network(Struct, frozen=True):
    """v1's net_cls and net_prio."""

    class_id: Unsigned32 | None = msgspec.field(name="classID", default=None)
    priorities: tuple[InterfacePriority, ...] | None = None


class Rdma(Struct, frozen=True):
    """Of one device."""

    hca_handles: Unsigned32 | None = None
    hca_objects: Unsigned32 | None = None


class Resources(Struct, frozen=True):
    """What the control groups enforce."""

    devices: tuple[DeviceRule, ...] | None = None
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: tuple[HugePages, ...] | None = None
    network: Network | None = None
    rdma: dict[str, Rdma] | None = None
    unified: dict[str, str] | None = None


class Linux(Struct, frozen=True):
    """All that is particular to Linux."""

    namespaces: tuple[Namespace, ...] | None = None
    uid_mappings: tuple[msgspec.Raw, ...] | None = None
    gid_mappings: tuple[msgspec.Raw, ...] | None = None
    devices: tuple[Device, ...] | None = None
    cgroups_path: str = ""
    resources: Resources | None = None
    sysctl: dict[str, str] | None = None
    seccomp: msgspec.Raw = msgspec.Raw()
    rootfs_propagation: str = ""
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    mount_label: str = ""
    intel_rdt: msgspec.Raw = msgspec.Raw()
    personality: msgspec.Raw = msgspec.Raw()
    time_offsets: msgspec.Raw = msgspec.Raw()


class Bundle(Struct, frozen=True):
    """The whole of config.json."""

    oci_version: str
    root: Root | None = None
    process: Process | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] | None = None
    hooks: Hooks | None = None
    linux: Linux | None = None
    annotations: dict[str, str] | None = None


def read_bundle(directory: str) -> Bundle:
    """The document of the bundle in `directory`. Raises InvalidParameter where there is none, or it is none."""
    path = os.path.join(directory, "config.json")
    try:
        return msgspec.json.decode(_text(path), type=Bundle)
    except FileNotFoundError as error:
        raise InvalidParameter(f"JSON specification file {path} not found") from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {error}") from error


def read_process(path: str) -> Process:
    """The document of an exec. Raises InvalidParameter, OSError."""
    try:
        return msgspec.json.decode(_text(path), type=Process)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {error}") from error


def read_resources(path: str) -> Resources:
    """The document of an update; "-" is the standard input. Raises InvalidParameter, OSError."""
    try:
        return msgspec.json.decode(_text("/proc/self/fd/0" if path == "-" else path), type=Resources)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"resources {path}: {error}") from error


def _text(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise InvalidParameter(f"{path} is a directory")
        text = file.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise InvalidParameter(f"{path} is longer than {LONGEST} bytes")
    return text
