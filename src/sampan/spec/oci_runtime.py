"""The OCI runtime configuration (runtime-spec 1.2, config.md and config-linux.md) as typed data.

The daemon writes it from a create request; `runtime.plan` turns it into steps. Only members that Sampan reads are here.
Integers are bytes, microseconds or plain counts as the specification says.
"""

import msgspec

from sampan.spec.user_maps import UserMaps


class Struct(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """Base: camelCase names on the wire, defaults left out, immutable."""


class User(Struct, frozen=True):
    """`name` is Sampan's: `USER` as the image or request wrote it ("", "app", "1000:1000"), resolved inside the root.

    The numeric members of the specification are not used by Sampan's own daemon: names are looked up in the
    container's own passwd, after pivot_root.
    """

    name: str = ""
    additional_groups: tuple[str, ...] = ()


class Capabilities(Struct, frozen=True):
    """Sets by name (`CAP_CHOWN`). Inheritable and ambient are empty for Docker's containers (CVE-2022-24769)."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(Struct, frozen=True):
    """One `setrlimit`: `type` is `RLIMIT_NOFILE` and so on; -1 is unlimited."""

    type: str
    soft: int
    hard: int


class ConsoleSize(Struct, frozen=True):
    """Rows and columns of a terminal."""

    height: int
    width: int


class Process(Struct, frozen=True):
    """The program: `args[0]` is searched in the container's PATH; `env` entries are `key=value`."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    capabilities: Capabilities = Capabilities()
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""


class Mount(Struct, frozen=True):
    """One mount. `type` is `bind`, `tmpfs`, `proc`, `sysfs`, `devpts`, `mqueue`, `cgroup`.

    For a bind, `source` is a path on the host; the daemon opens it with `open_tree`, nothing later resolves it again.
    `options` are mount(8)'s words: ro, rw, nosuid, nodev, noexec, rbind, bind, rprivate, rslave, rshared, size=64m, mode=1777;
    idmap and ridmap (of the whole tree): the bind gets the maps of the container's user namespace (`runtime.user_plan`).
    """

    destination: str
    type: str
    source: str = ""
    options: tuple[str, ...] = ()
    image: str = ""
    """an image id: its root is bound instead of a path on the host, read-only"""
    volume: str = ""
    """a volume that is a mount itself: a copy of that is bound, not what lies at a path on the host"""
    below: str = ""
    """what of the source is bound; links in it lead nowhere outside the source"""


class Namespace(Struct, frozen=True):
    """`type` is pid, network, mount, ipc, uts, user, cgroup or time; `path` joins an existing one."""

    type: str
    path: str = ""


class Device(Struct, frozen=True):
    """A device node to make: `type` c, b or p; mode as octal bits."""

    path: str
    type: str
    major: int
    minor: int
    file_mode: int = 0o666
    uid: int = 0
    gid: int = 0


class DeviceRule(Struct, frozen=True):
    """One rule of the device controller; None stands for every number."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


class Memory(Struct, frozen=True):
    """Bytes; -1 for no limit. `swap` is memory plus swap, as Docker and cgroup v1 count it."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    swappiness: int | None = None
    disable_oom_killer: bool = False


class Cpu(Struct, frozen=True):
    """`quota` and `period` in microseconds; `shares` in cgroup v1's scale (1024 is one share)."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""


class BlockLimit(Struct, frozen=True):
    """A limit of I/O on one block device. `what` is weight, read_bps, write_bps, read_iops or write_iops."""

    what: str
    major: int
    minor: int
    value: int


class Resources(Struct, frozen=True):
    """What the control groups enforce. `pids_limit` of None, 0 or less is unlimited; `blkio_weight` is 10 to 1000."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory = Memory()
    cpu: Cpu = Cpu()
    pids_limit: int | None = None
    blkio_weight: int | None = None
    block_limits: tuple[BlockLimit, ...] = ()
    kernel_tcp: int | None = None
    """bytes of the buffers of TCP, on v1"""
    unified: dict[str, str] = {}
    """control files by their own names, and what is written there; here v1's, too"""


class SeccompArg(Struct, frozen=True):
    """A comparison on one argument; `op` is SCMP_CMP_EQ and so on."""

    index: int
    value: int
    value_two: int = 0
    op: str = "SCMP_CMP_EQ"


class SeccompRule(Struct, frozen=True):
    """One action for some system calls."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] = ()


class Seccomp(Struct, frozen=True):
    """A filter already resolved for one container (no conditions on capabilities or kernels left in it)."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    syscalls: tuple[SeccompRule, ...] = ()
    flags: tuple[str, ...] = ()
    """SECCOMP_FILTER_FLAG_TSYNC and so on"""
    listener_path: str = ""
    """the socket of the agent that answers what SCMP_ACT_NOTIFY asks; of `sampan-oci` alone"""
    listener_metadata: str = ""


class Linux(Struct, frozen=True):
    """Everything that is particular to Linux. `cgroups_path` is relative to the engine's cgroup root."""

    namespaces: tuple[Namespace, ...] = ()
    devices: tuple[Device, ...] = ()
    cgroups_path: str = ""
    resources: Resources = Resources()
    sysctl: dict[str, str] = {}
    seccomp: Seccomp | None = None
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    rootfs_propagation: str = ""
    users: UserMaps | None = None
    """Sampan's form of uidMappings and gidMappings: the maps of a user namespace of the container's own"""


class Root(Struct, frozen=True):
    """How the root is mounted; where it comes from is the daemon's `RootMount`."""

    readonly: bool = False


class Hook(Struct, frozen=True):
    """A program of the host's that is run at a moment of a container's life. `timeout` in seconds, 0 for none of its own."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int = 0


class Hooks(Struct, frozen=True):
    """By the moments of runtime-spec's config.md, "POSIX-platform Hooks", in their order."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, point) for point in self.__struct_fields__)


class Config(Struct, frozen=True):
    """One container, as the runtime needs to know it."""

    process: Process
    hostname: str = ""
    domainname: str = ""
    root: Root = Root()
    mounts: tuple[Mount, ...] = ()
    linux: Linux = Linux()
    init: bool = False
    """Sampan's: a reaper stands as PID 1 in front of the program (`docker run --init`)."""
    hooks: Hooks = Hooks()
