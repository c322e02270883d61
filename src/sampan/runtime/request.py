"""What the daemon asks of the runtime, and what it hears back: data only.

Imported by the daemon's side; the launcher's side sees the same facts as JSON (`messages.py`).
"""

import socket
from dataclasses import dataclass, field

from sampan.cgroups.plan import CgroupPlan
from sampan.logs.reading import Query
from sampan.network.plan import LinkPlan
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId, ExecId
from sampan.spec.rootfs import RootMount
from sampan.spec.user_maps import UserMaps


@dataclass(frozen=True, slots=True)
class Stdio:
    """`open_stdin` keeps the program's input open without a client; `stdin_once` closes it when the first one leaves.

    `tied`: the program is killed when its last client has gone.
    """

    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    tied: bool = False


@dataclass(frozen=True, slots=True)
class LogSpec:
    """Where the log goes. `max_size` in bytes, -1 unbounded; `path` None writes no log (driver none)."""

    path: str | None
    max_size: int = -1
    max_files: int = 1
    attributes: str = ""
    """a JSON object that each record carries, "" for none"""
    format: str = "json-file"
    """of the records: json-file or local"""
    compress: bool = False
    """something packs the files that are renamed away (`logs.compression`)"""
    buffer: int = -1
    """bytes between program and log in non-blocking mode, -1 for none: the program waits for the disk"""


@dataclass(frozen=True, slots=True)
class AttachSpec:
    """A client's connection to hand to a monitor.

    `sock` is passed on and closed here; `pending` is what the client already sent behind the request (input not to be
    lost). The HTTP head has been answered before.
    """

    sock: socket.socket
    pending: bytes = b""
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    detach_keys: bytes = b"\x10\x11"
    framed: bool | None = None
    """Output with Docker's eight-byte headers; None: unless the program has a terminal."""
    after: tuple[int, int, int] | None = None
    """The place in the log (device, inode, offset) up to which the client has been sent what was written before; output goes on
    behind it without a gap. None: it begins with what comes."""


class Behind(Exception):
    """A client is not yet near enough to the end of the log to go on from there: more of it is to be sent."""


@dataclass(frozen=True, slots=True)
class FollowRequest:
    """A client that follows a container's log, and how it is to be served: the head of the answer has been written.

    `sock` and `files` (the log from where the client wants it, oldest first) stay the caller's to close. `chunked` says that
    the head announced chunks, which then end the answer; without them the end of the connection does.
    """

    sock: socket.socket
    path: str
    files: tuple[int, ...]
    query: Query
    tty: bool
    chunked: bool
    timestamps: bool = False
    details: bool = False


@dataclass(frozen=True, slots=True)
class OtherRuntime:
    """An OCI runtime of the host's: its `path`, and the `arguments` that come before each of its commands."""

    name: str
    path: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restore:
    """A checkpoint to start from: `images` is a descriptor of its directory, the caller's to close."""

    images: int


@dataclass(frozen=True, slots=True)
class Dump:
    """What is to be dumped, and where to.

    `images` is the empty directory `staging` in the directory `parent` (descriptors, the caller's to close); it is called
    `name` once everything is in it. `destinations` are the places of mounts from outside, the control groups' included.
    """

    images: int
    parent: int
    staging: str
    name: str
    destinations: tuple[str, ...]
    leave_running: bool


class DumpFailed(Exception):
    """Nothing was dumped, and the program goes on; the text says why, in criu's words where it has some."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One start of one container. Everything the monitor needs, so that it never has to ask.

    `config.linux.namespaces` decides the rest: a `path` such as `/proc/PID/ns/net` joins another container's.
    `held` are bound, not listening, sockets that reserve published ports while the container runs.
    """

    id: ContainerId
    config: oci.Config
    root: RootMount
    stdio: Stdio
    log: LogSpec
    cgroup: CgroupPlan
    link: LinkPlan | None = None
    more_links: tuple[LinkPlan, ...] = ()
    """pairs of further networks; a parked slot has none"""
    resolver: bool = False
    """sampan-net answers for it at 127.0.0.11; what it knows was said before (`Runtime.know`)"""
    held: tuple[socket.socket, ...] = ()
    attach: tuple[AttachSpec, ...] = ()
    explain: bool = False
    """Report every step that is taken (`Running.steps`)."""
    volatile: bool = False
    """The writable layer goes with this run (`--rm`): overlay may skip its syncs."""
    restore: Restore | None = None
    runtime: OtherRuntime | None = None
    """who is to make it; None for Sampan's own"""


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """What a container is called in one network. `links` are (name, what this container calls it) pairs."""

    name: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    internal: bool = False
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """What sampan-net has to know of a container: its networks by id, the one that is asked first first, and its own servers."""

    networks: dict[str, NamedPlace]
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxiedPort:
    """A published port of the host whose callers a process serves: IPv6 ones. It leads to `address`:`port` of the container.

    `as_caller`: callers of any family, and the container is to see their addresses.
    """

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int
    as_caller: bool = False


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What is to become different in a running container's network: a link to add, one to remove.

    `gateway` and `gateway6` are the ways out afterwards, `straight` and `straight6` the indexes of links that lead out without a
    gateway; "" and 0 for none.
    """

    add: LinkPlan | None = None
    remove: LinkPlan | None = None
    gateway: str = ""
    gateway6: str = ""
    straight: int = 0
    straight6: int = 0


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """One more process in a running container. `process` is complete: environment, user and capabilities included."""

    id: ExecId
    container: ContainerId
    process: oci.Process
    stdio: Stdio
    seccomp: oci.Seccomp | None
    cgroup: CgroupPlan
    attach: tuple[AttachSpec, ...] = ()
    users: UserMaps | None = None
    """the maps of the container's user namespace"""
    runtime: OtherRuntime | None = None
    """who made the container; None for Sampan's own"""
    explain: bool = False
    """whether the steps are reported that its monitor takes"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was taken: the principle it serves, what was done to what, when and for how long, and where it is written."""

    principle: str
    name: str
    operands: str
    at_us: int
    took_us: int
    source: str


@dataclass(frozen=True, slots=True)
class Running:
    """A program that has been executed: `pid` on the host, `started_ns` since the epoch."""

    pid: int
    monitor_pid: int
    started_ns: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended. `code` is 128 + signal where a signal ended it. `cause` says more than the code can."""

    code: int
    ended_ns: int
    signal: int = 0
    oom_killed: bool = False
    oom_kills: int = 0
    """how many processes the kernel has killed in it for lack of memory"""
    oom_limit: int = 0
    oom_peak: int = 0
    """where it has killed: the limit, and the most that was used, in bytes; 0 where there is none, or nobody knows"""
    cause: str = "exited"
    """exited, signal, oom, monitor-lost or machine-ended"""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a restarted daemon finds of a container: it runs (`exit` None) or has ended since."""

    id: ContainerId
    running: Running
    exit: Exit | None
    execs: tuple[ExecId, ...] = field(default=())
    paused: bool = False
    """it runs, and its processes are frozen: the kernel's word, which no record can contradict"""
