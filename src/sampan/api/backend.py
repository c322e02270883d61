"""What the routes need of the daemon: one Protocol per resource. The daemon implements them; they meet in its main module.

Every method raises the kinds of `sampan.errors`, in Docker's wording; names come as the client wrote them. A coroutine
is cancelled when its client has gone: what must be carried through regardless is the implementation's to shield. Arguments
are those of `sampan.spec.requests`, answers the documents of `sampan.spec`.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sampan.api.backend_builds import BuildCache, BuildKit, Builds
from sampan.api.backend_images import Images, Registries
from sampan.api.backend_plugins import Plugins
from sampan.spec import containers as c
from sampan.spec import networks as n
from sampan.spec import requests as r
from sampan.spec import system as s
from sampan.spec import volumes as v
from sampan.spec.check import CheckStep
from sampan.spec.checkpoints import CheckpointCreateRequest
from sampan.spec.disk import DiskUsage, Freed
from sampan.spec.events import Message
from sampan.spec.execs import ExecCreateRequest, ExecCreateResponse, ExecInspect, ExecStartRequest
from sampan.spec.explain import ExplainedStep
from sampan.spec.files import ContainerMount, FilesystemChange, PathArchive
from sampan.spec.host_config import UpdateRequest
from sampan.spec.prune import PrunePlan, PrunePlanRequest, PruneReport

LogRecord = tuple[int, bytes]
"""1 (standard output) or 2 (standard error), and the line as it is to be sent, timestamp and newline included."""


class Attachable(Protocol):
    """A container or exec that was checked and can take a client's connection. Making one changes nothing yet."""

    @property
    def tty(self) -> bool:
        """Whether it has a terminal: its stream is then raw."""
        ...

    async def take(self, connection: r.Hijacked) -> None:
        """Hand the connection over (an exec starts only now). From here on every fault is written to the connection.

        Returns when the daemon's part is done; the connection may live much longer. Closes it in any case.
        """
        ...


class LogStream(Protocol):
    """Log lines to send; `records` yields batches as they come, and ends."""

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal: lines are then sent without frames."""
        ...

    @property
    def outlives(self) -> bool:
        """Whether somebody else can serve the client, so that the stream does not end with this daemon."""
        ...

    async def carry(self, sock: socket.socket, chunked: bool) -> bool:
        """Give the client to such a one: the head is written, with `chunked` it announced chunks. False where that failed.

        `sock` stays the caller's to close. Where this is true nothing more is to be sent, and `records` not to be asked.
        """
        ...

    def records(self) -> AsyncIterator[Sequence[LogRecord]]:
        """The batches. Closed (`aclose`) when the client has gone."""
        ...


class Containers(Protocol):
    """Life and death of containers."""

    async def create(
        self, request: c.CreateRequest, name: str, platform: str, caller: tuple[int, int] | None
    ) -> c.CreateResponse:
        """Make a container, not started. `name` "" asks for a random one, `platform` "" for the host's.

        `caller` are user and group of the client's process, where the connection tells.
        """
        ...

    async def inspect(self, name: str, size: bool) -> c.ContainerInspect:
        """Everything about one container; with `size` the bytes it takes."""
        ...

    async def list(self, options: r.ContainerListOptions) -> Sequence[c.ContainerSummary]:
        """Containers, newest first."""
        ...

    async def start(self, name: str, options: r.StartOptions) -> None:
        """Start it. Raises NotModified where it runs."""
        ...

    async def steps(self, name: str) -> Sequence[ExplainedStep]:
        """What the last explained start did; empty where there was none."""
        ...

    async def stop(self, name: str, signal: str, timeout: int | None) -> None:
        """Stop it; `signal` "" and `timeout` None (seconds) are the container's own. Raises NotModified where it is stopped."""
        ...

    async def restart(self, name: str, signal: str, timeout: int | None) -> None:
        """Stop it where it runs, and start it."""
        ...

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal by name or number; "" is SIGKILL."""
        ...

    async def pause(self, name: str) -> None:
        """Freeze every process of it."""
        ...

    async def unpause(self, name: str) -> None:
        """Let a paused one go on."""
        ...

    async def top(self, name: str, ps_args: str) -> c.TopResponse:
        """Its processes, as `ps` with these arguments shows them; "" for Docker's default."""
        ...

    async def stats(self, name: str, stream: bool, one_shot: bool) -> AsyncIterator[bytes]:
        """What it uses, a line of JSON (`spec.stats.StatsResponse`) each second, or one: encoded once for all who watch.

        The iterator is to be closed (`aclose`). `one_shot` gives the one line at once, with nothing to compare it with.
        """
        ...

    async def wait(self, name: str, condition: r.WaitCondition) -> Awaitable[c.WaitResponse]:
        """Begin to wait. The container is known and watched when this returns; the awaitable ends with the condition."""
        ...

    async def logs(self, name: str, options: r.LogOptions) -> LogStream:
        """The container's log."""
        ...

    async def clear_log(self, name: str) -> None:
        """Forget what it has written. Raises NotImplementedHere where it keeps no log."""
        ...

    async def attach(self, name: str, options: r.AttachOptions) -> Attachable:
        """Check that a client can attach (it may come before the start, and is then held until it)."""
        ...

    async def resize(self, name: str, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        ...

    async def update(self, name: str, request: UpdateRequest) -> c.UpdateResponse:
        """Change limits and restart policy, at once where it runs."""
        ...

    async def rename(self, name: str, new_name: str) -> None:
        """Give it another name."""
        ...

    async def remove(self, name: str, options: r.RemoveOptions) -> None:
        """Remove it."""
        ...

    async def prune(self, filters: r.Filters) -> c.ContainersPruneReport:
        """Remove all stopped containers that match."""
        ...


class Checkpoints(Protocol):
    """Checkpoints of containers. All raise NotImplementedHere in Docker's words outside of experimental mode."""

    async def create(self, container: str, request: CheckpointCreateRequest) -> None:
        """Make one of a running container."""

    async def names(self, container: str, directory: str) -> Sequence[str]:
        """The names of a container's; `directory` "" is its own."""

    async def remove(self, container: str, name: str, directory: str) -> None:
        """Remove one."""


class ContainerFiles(Protocol):
    """Files in containers, whether they run or not."""

    async def stat(self, name: str, path: str) -> str:
        """What stands at the path, as the header X-Docker-Container-Path-Stat says it. Raises NotFound."""
        ...

    async def mount(self, name: str) -> ContainerMount:
        """Let root on the host see a container's file system. Raises NotFound, System."""
        ...

    async def umount(self, name: str) -> None:
        """Take that back. Raises NotFound."""
        ...

    def mounted(self) -> Sequence[ContainerMount]:
        """Where whose file system is to be seen."""
        ...

    async def read(self, name: str, path: str) -> PathArchive:
        """A tar of the path. What is wrong with it is raised before the first byte."""
        ...

    async def write(self, name: str, options: r.ExtractOptions, content: AsyncIterator[bytes]) -> None:
        """Unpack a tar, compressed or not, into a directory."""
        ...

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of the whole root, without what is mounted in it."""
        ...

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """What differs from the container's image, sorted by path."""
        ...

    async def commit(self, options: r.CommitOptions, config: c.ContainerConfig | None) -> c.IdResponse:
        """Make an image of the container; `config` says what it is to be like, None nothing."""
        ...


class Execs(Protocol):
    """More processes in running containers."""

    async def create(self, container: str, request: ExecCreateRequest) -> ExecCreateResponse:
        """Prepare one; nothing runs yet."""
        ...

    async def inspect(self, exec_id: str) -> ExecInspect:
        """How it stands."""
        ...

    async def start(self, exec_id: str, request: ExecStartRequest) -> Attachable:
        """Check that it can start; `take` starts it with the client's streams."""
        ...

    async def start_detached(self, exec_id: str, request: ExecStartRequest) -> None:
        """Start it without streams; returns when the program has been executed."""
        ...

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        ...


class Volumes(Protocol):
    """Named volumes."""

    async def list(self, filters: r.Filters) -> v.VolumeList:
        """Volumes, and warnings of their drivers."""
        ...

    async def create(self, request: v.VolumeCreateRequest) -> v.Volume:
        """Make one, or return the one of that name."""
        ...

    async def inspect(self, name: str) -> v.Volume:
        """One volume."""
        ...

    async def remove(self, name: str, force: bool) -> None:
        """Remove it; with `force` a volume that does not exist is no fault."""
        ...

    async def prune(self, filters: r.Filters) -> v.VolumesPruneReport:
        """Remove volumes that nothing uses (anonymous ones, unless `all=true` is among the filters)."""
        ...

    async def archive(self, name: str) -> AsyncIterator[bytes]:
        """A volume's files as a tar. Raises NotFound, System before the first piece."""
        ...

    async def unpack(self, name: str, archive: AsyncIterator[bytes]) -> None:
        """A tar, compressed or not, over what a volume holds. Raises NotFound, InvalidParameter, System."""
        ...


class Networks(Protocol):
    """Networks, and which containers stand in them."""

    async def list(self, filters: r.Filters) -> Sequence[n.Network]:
        """Networks, without their containers."""
        ...

    async def inspect(self, name: str, scope: str) -> n.Network:
        """One network, with its containers."""
        ...

    async def rules(self, name: str) -> n.NetworkRules:
        """What the kernel's rules say of one network."""
        ...

    async def create(self, request: n.NetworkCreateRequest) -> n.NetworkCreateResponse:
        """Make one. Names are unique."""
        ...

    async def remove(self, name: str) -> None:
        """Remove one in which no running container stands."""
        ...

    async def connect(self, name: str, request: n.NetworkConnectRequest) -> None:
        """Let a container in, now where it runs and at each start."""
        ...

    async def disconnect(self, name: str, request: n.NetworkDisconnectRequest) -> None:
        """Take a container out."""
        ...

    async def prune(self, filters: r.Filters) -> n.NetworksPruneReport:
        """Remove networks in which no running container stands."""
        ...


class System(Protocol):
    """The daemon about itself. `version` is answered by the API with what this gives; API versions are filled in there."""

    async def version(self) -> s.Version:
        """Who is speaking."""
        ...

    async def info(self) -> s.Info:
        """The daemon, its host and what it can do."""
        ...


class Debug(Protocol):
    """What helps to find out what is wrong."""

    async def report(self) -> bytes:
        """A compressed tar of what the daemon and its host show, without secrets."""
        ...


class Disk(Protocol):
    """Room on the disk."""

    async def usage(self, types: Collection[str]) -> DiskUsage:
        """What takes it, of the types container, image, volume and build-cache."""
        ...

    def freeing(self) -> Freed:
        """What of images and containers was removed and is still on the disk."""
        ...

    async def plan_prune(self, request: PrunePlanRequest) -> PrunePlan:
        """What a prune would take now. Raises InvalidParameter for filters."""
        ...

    async def prune(self, plan: str) -> PruneReport:
        """Exactly that, as far as it is as it was. Raises NotFound, Conflict."""
        ...

    def check(self, repair: bool) -> AsyncIterator[CheckStep]:
        """Everything that images need, looked at; faults mended where `repair`. Ends with a verdict."""
        ...


class Events(Protocol):
    """What happens."""

    def subscribe(self, options: r.EventOptions) -> AsyncIterator[Message]:
        """Events from the past (`since`) and on as they come. Subscribed when this returns, not at the first step."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything the routes call."""

    containers: Containers
    files: ContainerFiles
    execs: Execs
    checkpoints: Checkpoints
    builds: Builds
    images: Images
    registries: Registries
    volumes: Volumes
    networks: Networks
    plugins: Plugins
    system: System
    debug: Debug
    disk: Disk
    build_cache: BuildCache
    buildkit: BuildKit
    events: Events
