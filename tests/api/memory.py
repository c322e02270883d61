"""A backend without a kernel: containers are a few records, attached programs echo what they are told."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sampan.api import backend as b
from sampan.errors import Conflict, InvalidParameter, NotFound, NotModified, Unauthorized
from sampan.spec import containers as c
from sampan.spec import images as i
from sampan.spec import plugins as p
from sampan.spec import requests as r
from sampan.spec import system as s
from sampan.spec import volumes as v
from sampan.spec.builds import BuildOptions
from sampan.spec.check import CheckStep, CheckVerdict
from sampan.spec.checkpoints import CheckpointCreateRequest
from sampan.spec.disk import BuildPruneReport, DiskUsage, Freed
from sampan.spec.document import encode
from sampan.spec.events import Actor, Message
from sampan.spec.execs import ExecCreateRequest, ExecCreateResponse, ExecInspect, ExecStartRequest
from sampan.spec.explain import ExplainedStep
from sampan.spec.files import ContainerMount, FilesystemChange, PathArchive
from sampan.spec.host_config import UpdateRequest
from sampan.spec.ids import new_id
from sampan.spec.images import ImageInspect
from sampan.spec.networks import (
    Network,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkRules,
    NetworksPruneReport,
)
from sampan.spec.prune import PrunePlan, PrunePlanRequest, PruneReport
from sampan.spec.registries import AuthConfig, AuthResponse, DistributionInspect, SearchResult
from sampan.spec.stats import StatsResponse

IMAGE = "sha256:" + "ab" * 32
EPOCH = "2026-11-23T20:00:00.000000001Z"


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


@dataclass
class Echo:
    """Answers what it hears in capitals, frame by frame; ends when its input does."""

    tty: bool = False
    started: asyncio.Event | None = None
    """Waits for this before it reads, as a container that is attached to before its start."""
    heard: bytearray = field(default_factory=bytearray)
    pending: bytes = b""
    upgraded: bool | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, connection: r.Hijacked) -> None:
        self.pending, self.upgraded = connection.pending, connection.upgraded
        self._task = asyncio.get_running_loop().create_task(self._talk(connection))

    def stop(self) -> None:
        """End without a word."""
        self._task.cancel()

    async def _talk(self, connection: r.Hijacked) -> None:
        loop = asyncio.get_running_loop()
        sock = connection.sock
        try:
            if self.started is not None:
                await self.started.wait()
            data = connection.pending or await loop.sock_recv(sock, 65536)
            while data:
                self.heard += data
                answer = data.upper()
                await loop.sock_sendall(sock, answer if self.tty else frame(1, answer))
                data = await loop.sock_recv(sock, 65536)
            await loop.sock_sendall(sock, b"bye\n" if self.tty else frame(2, b"bye\n"))
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            sock.close()
            self.ended.set()


@dataclass
class Box:
    id: str
    name: str
    request: c.CreateRequest
    status: str = "created"
    code: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    echoes: list[Echo] = field(default_factory=list)


class Containers:
    def __init__(self, events: "Events") -> None:
        self.boxes: dict[str, Box] = {}
        self.calls: list[tuple[object, ...]] = []
        self.events = events
        self.log: list[list[b.LogRecord]] = [[(1, b"one\n"), (2, b"two\n")], [(1, b"three\n")]]
        self.log_closed = asyncio.Event()
        self.log_outlives, self.log_carries = False, True
        self.tasks: set[asyncio.Task[None]] = set()

    def find(self, name: str) -> Box:
        for box in self.boxes.values():
            if name and (box.id.startswith(name) or box.name == name.removeprefix("/")):
                return box
        raise NotFound(f"No such container: {name}")

    async def create(
        self, request: c.CreateRequest, name: str, platform: str, caller: tuple[int, int] | None
    ) -> c.CreateResponse:
        self.calls.append(("create", request, name, platform))
        if request.image != "busybox":
            raise NotFound(f"No such image: {request.image}")
        if any(box.name == name for box in self.boxes.values()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        box = Box(new_id(), name or "random_name", request)
        self.boxes[box.id] = box
        self.events.tell("create", box)
        return c.CreateResponse(id=box.id, warnings=())

    async def inspect(self, name: str, size: bool) -> c.ContainerInspect:
        box = self.find(name)
        return c.ContainerInspect(
            id=box.id,
            name="/" + box.name,
            created=EPOCH,
            path=(box.request.cmd or ("sh",))[0],
            state=c.State(status=box.status, running=box.status == "running", exit_code=box.code),
            image=IMAGE,
            config=c.ContainerConfig(image=box.request.image, hostname=box.id[:12], tty=box.request.tty),
            size_rw=7 if size else None,
        )

    async def list(self, options: r.ContainerListOptions) -> Sequence[c.ContainerSummary]:
        self.calls.append(("list", options))
        return [
            c.ContainerSummary(
                id=box.id,
                names=("/" + box.name,),
                image="busybox",
                image_id=IMAGE,
                created=1,
                state=box.status,
                status="Up 1 second",
                command="sh",
            )
            for box in self.boxes.values()
            if options.all or box.status == "running"
        ]

    async def start(self, name: str, options: r.StartOptions) -> None:
        box = self.find(name)
        if box.status == "running":
            raise NotModified("already started")
        box.status = "running"
        box.started.set()
        self.events.tell("start", box)
        task = asyncio.get_running_loop().create_task(self._run(box))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, box: Box) -> None:
        for echo in box.echoes:
            await echo.ended.wait()
        if box.echoes:
            self.end(box, 3)

    def end(self, box: Box, code: int) -> None:
        box.status, box.code = "exited", code
        box.ended.set()
        self.events.tell("die", box)

    async def steps(self, name: str) -> Sequence[ExplainedStep]:
        return [ExplainedStep(principle="isolation", name="clone3", operands=self.find(name).id)]

    async def stop(self, name: str, signal: str, timeout: int | None) -> None:
        self.calls.append(("stop", name, signal, timeout))
        box = self.find(name)
        if box.status != "running":
            raise NotModified("already stopped")
        self.end(box, 143)

    async def restart(self, name: str, signal: str, timeout: int | None) -> None:
        self.calls.append(("restart", name, signal, timeout))

    async def kill(self, name: str, signal: str) -> None:
        box = self.find(name)
        if box.status != "running":
            raise Conflict(f"container {box.id} is not running")
        self.end(box, 137)

    async def pause(self, name: str) -> None:
        self.find(name).status = "paused"

    async def unpause(self, name: str) -> None:
        self.find(name).status = "running"

    async def top(self, name: str, ps_args: str) -> c.TopResponse:
        self.find(name)
        return c.TopResponse(titles=("PID", "CMD"), processes=(("1", "true"),))

    async def stats(self, name: str, stream: bool, one_shot: bool) -> AsyncIterator[bytes]:
        box = self.find(name)
        self.calls.append(("stats", stream, one_shot))

        async def lines() -> AsyncIterator[bytes]:
            for _ in range(3 if stream else 1):
                yield encode(StatsResponse(name=f"/{box.name}", id=box.id, read=EPOCH)) + b"\n"

        return lines()

    async def wait(self, name: str, condition: r.WaitCondition) -> Awaitable[c.WaitResponse]:
        box = self.find(name)
        self.calls.append(("wait", condition))

        async def ending() -> c.WaitResponse:
            await box.ended.wait()
            return c.WaitResponse(status_code=box.code)

        return ending()

    async def clear_log(self, name: str) -> None:
        self.calls.append(("clear_log", name))

    async def logs(self, name: str, options: r.LogOptions) -> b.LogStream:
        self.calls.append(("logs", options))
        outlives = self.log_outlives and options.follow
        return Log(self.find(name).request.tty, self.log, options.follow, self.log_closed, outlives, self.log_carries)

    async def attach(self, name: str, options: r.AttachOptions) -> b.Attachable:
        self.calls.append(("attach", options))
        box = self.find(name)
        echo = Echo(box.request.tty or not options.multiplexed, box.started)
        box.echoes.append(echo)
        return echo

    async def resize(self, name: str, rows: int, columns: int) -> None:
        self.calls.append(("resize", name, rows, columns))

    async def update(self, name: str, request: UpdateRequest) -> c.UpdateResponse:
        self.find(name)
        self.calls.append(("update", request))
        return c.UpdateResponse()

    async def rename(self, name: str, new_name: str) -> None:
        self.find(name).name = new_name

    async def remove(self, name: str, options: r.RemoveOptions) -> None:
        self.calls.append(("remove", options))
        box = self.find(name)
        del self.boxes[box.id]

    async def prune(self, filters: r.Filters) -> c.ContainersPruneReport:
        return c.ContainersPruneReport()


def _send(sock: socket.socket, data: bytes) -> None:
    with sock:
        sock.setblocking(True)
        sock.sendall(data)


@dataclass
class Log:
    tty: bool
    batches: list[list[b.LogRecord]]
    follow: bool
    closed: asyncio.Event
    outlives: bool = False
    carries: bool = True
    """Where it can outlive: whether it does when it is asked."""

    async def carry(self, sock: socket.socket, chunked: bool) -> bool:
        """The batches, one behind the other, from a thread that has a descriptor of its own."""
        if self.carries:
            lines = b"".join(line for batch in self.batches for _, line in batch)
            piece = b"%x\r\n%b\r\n0\r\n\r\n" % (len(lines), lines) if chunked else lines
            threading.Thread(target=_send, args=(sock.dup(), piece)).start()
        return self.carries

    async def records(self) -> AsyncIterator[Sequence[b.LogRecord]]:
        try:
            for batch in self.batches:
                yield batch
            if self.follow:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


class Execs:
    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        self.execs: dict[str, tuple[ExecCreateRequest, Echo]] = {}

    async def create(self, container: str, request: ExecCreateRequest) -> ExecCreateResponse:
        box = self.containers.find(container)
        if box.status != "running":
            raise Conflict(f"container {box.id} is not running")
        exec_id = new_id()
        self.execs[exec_id] = (request, Echo(request.tty))
        return ExecCreateResponse(id=exec_id)

    def find(self, exec_id: str) -> tuple[ExecCreateRequest, Echo]:
        if exec_id not in self.execs:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self.execs[exec_id]

    async def inspect(self, exec_id: str) -> ExecInspect:
        ended = self.find(exec_id)[1].ended.is_set()
        return ExecInspect(id=exec_id, running=not ended, exit_code=5 if ended else None)

    async def start(self, exec_id: str, request: ExecStartRequest) -> b.Attachable:
        return self.find(exec_id)[1]

    async def start_detached(self, exec_id: str, request: ExecStartRequest) -> None:
        self.find(exec_id)[1].ended.set()

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        self.find(exec_id)


class Images:
    def __init__(self) -> None:
        self.received = 0
        self.refuse_after: int | None = None
        self.tags: list[tuple[str, str, str]] = []
        self.travelled: list[r.PullOptions | r.PushOptions] = []
        self.archive = [b"tar" * 1000] * 3

    async def list(self, options: r.ImageListOptions) -> Sequence[i.ImageSummary]:
        return [i.ImageSummary(id=IMAGE, repo_tags=("busybox:latest",), size=5, created=1), i.ImageSummary(id=IMAGE)]

    async def inspect(self, name: str, manifests: bool, platform: str) -> ImageInspect:
        if name not in (IMAGE, "busybox", "registry.example:5000/a/b/busybox"):
            raise NotFound(f"No such image: {name}")
        return ImageInspect(id=IMAGE, repo_tags=("busybox:latest",), os="linux", architecture="amd64", size=5)

    async def history(self, name: str, platform: str) -> Sequence[i.HistoryItem]:
        return [i.HistoryItem(created_by="ADD rootfs", size=5)]

    async def load(self, archive: AsyncIterator[bytes], quiet: bool, platform: str) -> AsyncIterator[i.Progress]:
        async for chunk in archive:
            self.received += len(chunk)
            if self.refuse_after is not None and self.received > self.refuse_after:
                raise InvalidParameter("archive is broken")
        yield i.Progress(stream="Loaded image: busybox:latest\n")

    async def import_archive(
        self, archive: AsyncIterator[bytes], options: r.ImportOptions
    ) -> AsyncIterator[i.Progress]:
        async for chunk in archive:
            self.received += len(chunk)
        if not self.received:
            raise InvalidParameter("archive is empty")
        yield i.Progress(status=IMAGE)

    async def import_url(self, url: str, options: r.ImportOptions) -> AsyncIterator[i.Progress]:
        yield i.Progress(status=url)

    async def pull(self, options: r.PullOptions) -> AsyncIterator[i.Progress]:
        self.travelled.append(options)
        if options.name == "nothing":
            raise NotFound("manifest for nothing:latest not found: manifest unknown: manifest unknown")
        yield i.Progress(status="Pulling from library/busybox", id=options.tag)
        yield i.Progress(status="Pulling fs layer", progress_detail=i.ProgressDetail(), id="0123456789ab")
        if options.name == "broken":
            raise InvalidParameter("unsupported media type x")

    async def push(self, options: r.PushOptions) -> AsyncIterator[i.Progress]:
        self.travelled.append(options)
        yield i.Progress(
            progress_detail=i.ProgressDetail(), aux=i.PushResult(tag=options.tag, digest="sha256:1", size=5)
        )

    async def tag(self, name: str, repository: str, tag: str) -> None:
        self.tags.append((name, repository, tag))

    async def remove(self, name: str, force: bool, prune: bool, platform: str) -> Sequence[i.DeleteItem]:
        return [i.DeleteItem(untagged=name)]

    async def save(self, names: Sequence[str], platform: str) -> AsyncIterator[bytes]:
        if not names or "nothing" in names:
            raise NotFound("No such image: nothing")

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in self.archive:
                yield chunk

        return chunks()

    async def prune(self, filters: r.Filters) -> i.ImagesPruneReport:
        return i.ImagesPruneReport()


class Volumes:
    def __init__(self) -> None:
        self.filters: r.Filters = {}

    async def list(self, filters: r.Filters) -> v.VolumeList:
        self.filters = filters
        return v.VolumeList(volumes=(v.Volume(name="data"),))

    async def create(self, request: v.VolumeCreateRequest) -> v.Volume:
        return v.Volume(name=request.name, labels=request.labels)

    async def inspect(self, name: str) -> v.Volume:
        raise NotFound(f"get {name}: no such volume")

    async def remove(self, name: str, force: bool) -> None:
        pass

    async def prune(self, filters: r.Filters) -> v.VolumesPruneReport:
        self.filters = filters
        return v.VolumesPruneReport()

    async def archive(self, name: str) -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"tar"

        return pieces()

    async def unpack(self, name: str, archive: AsyncIterator[bytes]) -> None:
        async for _ in archive:
            pass


class Plugins:
    """None, and none can be had."""

    async def list(self, filters: r.Filters) -> Sequence[p.Plugin]:
        return []

    async def inspect(self, name: str) -> p.Plugin:
        raise NotFound(f'plugin "{name}" not found')

    async def privileges(self, remote: str, credentials: str) -> Sequence[p.PluginPrivilege]:
        raise NotFound(f"{remote} not found")

    def called(self, remote: str, name: str) -> str:
        return name or remote

    def pull(
        self, remote: str, name: str, granted: Sequence[p.PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        raise NotFound(f"{remote} not found")

    def upgrade(
        self, name: str, remote: str, granted: Sequence[p.PluginPrivilege], credentials: str
    ) -> AsyncIterator[i.Progress]:
        raise NotFound(f'plugin "{name}" not found')

    async def create(self, name: str, archive: AsyncIterator[bytes]) -> None:
        raise NotFound("no plugins here")

    def push(self, name: str, credentials: str) -> AsyncIterator[i.Progress]:
        raise NotFound(f'plugin "{name}" not found')

    async def enable(self, name: str, timeout: int) -> None:
        await self.inspect(name)

    async def disable(self, name: str, force: bool) -> None:
        await self.inspect(name)

    async def set(self, name: str, wanted: Sequence[str]) -> None:
        await self.inspect(name)

    async def remove(self, name: str, force: bool) -> None:
        await self.inspect(name)


class Networks:
    async def list(self, filters: r.Filters) -> Sequence[Network]:
        return [Network(name="bridge", id="b" * 64, driver="bridge")]

    async def inspect(self, name: str, scope: str) -> Network:
        if name not in ("bridge", "b" * 64):
            raise NotFound(f"network {name} not found")
        return Network(name="bridge", id="b" * 64, driver="bridge")

    async def rules(self, name: str) -> NetworkRules:
        await self.inspect(name, "")
        return NetworkRules(network="bridge", text="# rules\n")

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        return NetworkCreateResponse(id="c" * 64)

    async def remove(self, name: str) -> None:
        await self.inspect(name, "")

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        await self.inspect(name, "")

    async def disconnect(self, name: str, request: NetworkDisconnectRequest) -> None:
        await self.inspect(name, "")

    async def prune(self, filters: r.Filters) -> NetworksPruneReport:
        return NetworksPruneReport(networks_deleted=())


class Registries:
    """One registry, which knows one user and one image."""

    async def login(self, given: AuthConfig) -> AuthResponse:
        if (given.username, given.password) != ("me", "secret"):
            raise Unauthorized('Get "https://r/v2/": unauthorized: incorrect username or password')
        return AuthResponse(status="Login Succeeded")

    async def search(self, term: str, limit: int, filters: r.Filters, credentials: str) -> Sequence[SearchResult]:
        return [SearchResult(limit, True, term, False, f"{filters} {credentials}")]

    async def inspect(self, name: str, credentials: str) -> DistributionInspect:
        raise NotFound(f"{name}: {credentials}")


class Debug:
    async def report(self) -> bytes:
        return b"report"


class System:
    async def version(self) -> s.Version:
        return s.Version(
            platform=s.PlatformName(name="Sampan"),
            components=(s.Component(name="Engine", version="1.0.0", details={"Os": "linux"}),),
            version="1.0.0",
            os="linux",
            arch="amd64",
        )

    async def info(self) -> s.Info:
        return s.Info(
            id="x",
            name="box",
            server_version="1.0.0",
            containers=2,
            runc_commit=s.Commit(id="abc"),
            security_options=("name=seccomp,profile=builtin",),
            firewall_backend=s.FirewallInfo(driver="nftables"),
        )


class Events:
    def __init__(self) -> None:
        self.past: list[Message] = []
        self.listeners: set[asyncio.Queue[Message | None]] = set()
        self.options: r.EventOptions | None = None

    def tell(self, action: str, box: Box) -> None:
        message = Message(
            status=action,
            id=box.id,
            from_="busybox",
            type="container",
            action=action,
            actor=Actor(id=box.id, attributes={"name": box.name, "exitCode": str(box.code)}),
            time=1,
            time_nano=1_000_000_001,
        )
        self.past.append(message)
        for listener in self.listeners:
            listener.put_nowait(message)

    def subscribe(self, options: r.EventOptions) -> AsyncIterator[Message]:
        self.options = options
        queue: asyncio.Queue[Message | None] = asyncio.Queue()
        if options.since is not None:
            for message in self.past:
                queue.put_nowait(message)
        if options.until is not None:
            queue.put_nowait(None)
        self.listeners.add(queue)
        return self._follow(queue)

    async def _follow(self, queue: "asyncio.Queue[Message | None]") -> AsyncIterator[Message]:
        try:
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self.listeners.discard(queue)


class Checkpoints:
    """Kept as names, for each container; what a request asked for is among the containers' calls."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.kept: list[str] = []

    async def create(self, container: str, request: CheckpointCreateRequest) -> None:
        self._containers.find(container)
        self._containers.calls.append(("checkpoint", request))
        self.kept.append(request.checkpoint_id)

    async def names(self, container: str, directory: str) -> Sequence[str]:
        self._containers.find(container)
        return list(self.kept)

    async def remove(self, container: str, name: str, directory: str) -> None:
        self._containers.find(container)
        self._containers.calls.append(("checkpoint-rm", name, directory))
        self.kept.remove(name)


class Disk:
    """Empty; only what was asked for is there at all."""

    async def check(self, repair: bool) -> AsyncIterator[CheckStep]:
        yield CheckStep(verdict=CheckVerdict())

    async def plan_prune(self, request: PrunePlanRequest) -> PrunePlan:
        return PrunePlan(id="plan")

    async def prune(self, plan: str) -> PruneReport:
        raise NotFound(f"no such prune plan: {plan}")

    def freeing(self) -> Freed:
        return Freed()

    async def usage(self, types: Collection[str]) -> DiskUsage:
        return DiskUsage(images=() if "image" in types else None, volumes=() if "volume" in types else None)


class BuildCache:
    """Keeps what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[r.BuildPruneOptions] = []

    async def prune(self, options: r.BuildPruneOptions) -> BuildPruneReport:
        self.calls.append(options)
        return BuildPruneReport(caches_deleted=("a",), space_reclaimed=5)

    async def mount_archive(self, identity: str) -> AsyncIterator[bytes]:
        raise NotFound(f"no cache mount has the id {identity!r}")

    async def replace_mount(self, options: r.BuildMountOptions, archive: AsyncIterator[bytes]) -> None:
        async for _ in archive:
            pass


class BuildKit:
    """Takes connections, and closes them."""

    def control(self) -> "BuildKit":
        return self

    def session(self, headers: Mapping[bytes, bytes]) -> "BuildKit":
        if b"x-docker-expose-session-uuid" not in headers:
            raise InvalidParameter("no session id in request")
        return self

    async def take(self, connection: r.Hijacked) -> None:
        connection.sock.close()


class Files:
    """Every container holds one file, `there`."""

    async def mount(self, name: str) -> ContainerMount:
        return ContainerMount(id=name, path="/proc/1/root")

    async def umount(self, name: str) -> None:
        pass

    def mounted(self) -> Sequence[ContainerMount]:
        return ()

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def stat(self, name: str, path: str) -> str:
        self._containers.find(name)
        if path != "/there":
            raise NotFound(f"Could not find the file {path} in container {name}")
        return "c3RhdA=="

    async def read(self, name: str, path: str) -> PathArchive:
        return PathArchive(await self.stat(name, path), self._pieces())

    async def write(self, name: str, options: r.ExtractOptions, content: AsyncIterator[bytes]) -> None:
        self._containers.find(name)
        self._containers.calls.append(("write", options, b"".join([piece async for piece in content])))

    async def export(self, name: str) -> AsyncIterator[bytes]:
        self._containers.find(name)
        return self._pieces()

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        self._containers.find(name)
        return [FilesystemChange(path="/etc", kind=0), FilesystemChange(path="/etc/new", kind=1)]

    async def commit(self, options: r.CommitOptions, config: c.ContainerConfig | None) -> c.IdResponse:
        self._containers.find(options.container)
        self._containers.calls.append(("commit", options, config))
        return c.IdResponse(id=IMAGE)

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield b"tar"


class Builds:
    """Tells what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[BuildOptions, bytes]] = []

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.calls.append((options, b"".join([piece async for piece in body])))
        if options.target == "nowhere":
            raise InvalidParameter('target stage "nowhere" could not be found')
        yield b'{"stream":"Step 1/1 : FROM scratch"}\r\n'


@dataclass(frozen=True)
class Memory:
    """The parts of a backend with their own types, so that tests can look into them."""

    containers: Containers
    execs: Execs
    images: Images
    volumes: Volumes
    networks: Networks
    build_cache: BuildCache
    events: Events

    def backend(self) -> b.Backend:
        return b.Backend(
            self.containers,
            Files(self.containers),
            self.execs,
            Checkpoints(self.containers),
            Builds(),
            self.images,
            Registries(),
            self.volumes,
            self.networks,
            Plugins(),
            System(),
            Debug(),
            Disk(),
            self.build_cache,
            BuildKit(),
            self.events,
        )


def memory() -> Memory:
    """A fresh one. Needs a running event loop."""
    events = Events()
    containers = Containers(events)
    return Memory(containers, Execs(containers), Images(), Volumes(), Networks(), BuildCache(), events)
