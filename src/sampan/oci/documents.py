"""A bundle's `config.json` and an exec's `process.json` as others write them (runtime-spec 1.2, config.md, config-linux.md).

All members that a Linux runtime has to look at are here, so that what is asked for and cannot be given is refused by name
(`translate`) and never passed over. Members that the specification does not know are ignored, as it demands.
"""

import os
import re
import stat
from typing import Annotated

import msgspec

from sampan.errors import InvalidParameter
from sampan.oci.document_types import IdMapping, Struct, Unsigned32, Unsigned64
from sampan.oci.resource_documents import Resources

LONGEST = 16 << 20
"""Bytes of a document. Docker's are some 20 KB."""
_PIECE = 1 << 16
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


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


class Scheduler(Struct, frozen=True):
    """sched_setattr(2): `policy` is SCHED_OTHER and so on, `flags` SCHED_FLAG_…, times in nanoseconds."""

    policy: str
    nice: Annotated[int, msgspec.Meta(ge=-20, le=19)] = 0
    priority: Annotated[int, msgspec.Meta(ge=0, le=99)] = 0
    flags: tuple[str, ...] | None = None
    runtime: Unsigned64 = 0
    deadline: Unsigned64 = 0
    period: Unsigned64 = 0


class IoPriority(Struct, frozen=True):
    """ioprio_set(2): `io_class` is IOPRIO_CLASS_RT, _BE or _IDLE."""

    io_class: str = msgspec.field(name="class")
    priority: Annotated[int, msgspec.Meta(ge=0, le=7)] = 0


class CpuAffinity(Struct, frozen=True):
    """Processors of an exec's process: `initial` while it enters the container, `final` for the program."""

    initial: str = ""
    final: str = ""


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
    scheduler: Scheduler | None = None
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = msgspec.field(name="execCPUAffinity", default=None)


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
    uid_mappings: tuple[IdMapping, ...] | None = None
    gid_mappings: tuple[IdMapping, ...] | None = None


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


class Personality(Struct, frozen=True):
    """personality(2): `domain` is LINUX or LINUX32; flags are none yet."""

    domain: str
    flags: tuple[str, ...] | None = None


class TimeOffset(Struct, frozen=True):
    """How far a clock of a time namespace is from the host's."""

    secs: Annotated[int, msgspec.Meta(ge=-(1 << 62), lt=1 << 62)] = 0
    nanosecs: Annotated[int, msgspec.Meta(ge=0, lt=1_000_000_000)] = 0


class MemoryPolicy(Struct, frozen=True):
    """set_mempolicy(2): MPOL_DEFAULT and so on, a list of nodes such as 0-3,7, MPOL_F_… (runtime-spec 1.3)."""

    mode: str
    nodes: str = ""
    flags: tuple[str, ...] | None = None


class Linux(Struct, frozen=True):
    """All that is particular to Linux."""

    namespaces: tuple[Namespace, ...] | None = None
    uid_mappings: tuple[IdMapping, ...] | None = None
    gid_mappings: tuple[IdMapping, ...] | None = None
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
    personality: Personality | None = None
    time_offsets: dict[str, TimeOffset] | None = None
    memory_policy: MemoryPolicy | None = None
    net_devices: msgspec.Raw = msgspec.Raw()


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
    text = bytearray()
    with os.fdopen(descriptor, "rb", buffering=0):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise InvalidParameter(f"{path} is a directory")
        # Piece by piece: one read of the whole limit would take its memory first.
        while piece := os.read(descriptor, _PIECE):
            text += piece
            if len(text) > LONGEST:
                raise InvalidParameter(f"{path} is longer than {LONGEST} bytes")
    if _NUL.search(text):
        # No name, word or path of the kernel's has one, and each would be cut there or refused late.
        raise InvalidParameter(f"{path}: a NUL byte in a text")
    return bytes(text)
