"""The daemon's side of the runtime: one launcher, one channel to each monitor, all on the daemon's event loop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from sampan.cgroups import apply as cgroups
from sampan.cgroups import ending
from sampan.files.trash import Trash
from sampan.runtime import adoption, plan
from sampan.runtime.asides import Asides
from sampan.runtime.channel import ChannelClosed
from sampan.runtime.exec_pool import ExecPool
from sampan.runtime.followers import Followers
from sampan.runtime.launcher_port import LauncherPort
from sampan.runtime.messages import BEHIND, DESCRIPTOR_LIMIT, Kind, pair
from sampan.runtime.monitored import Monitored
from sampan.runtime.neighbours import processes_beside
from sampan.runtime.pool import Pool, SlotKind, SlotPlan
from sampan.runtime.relinks import relink
from sampan.runtime.request import (
    Adopted,
    AttachSpec,
    Behind,
    Dump,
    ExecRequest,
    Exit,
    FollowRequest,
    LinkChange,
    Named,
    Running,
    StartRequest,
)
from sampan.runtime.resolver_port import ResolverPort
from sampan.runtime.sources import Roots, clients, close_all, close_clients, open_binds, open_namespaces
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec.ids import ContainerId, ExecId, new_id
from sampan.spec.rootfs import ServedRoot
from sampan.telemetry.lines import TEXT

_log = logging.getLogger("sampan.runtime")
_OLD_MONITOR_SECONDS = 10.0
_MOST_DESCRIPTORS = DESCRIPTOR_LIMIT - 8
"""Some of a packet's are the engine's own."""


class RuntimeClient:
    """Implements `port.Runtime`. `environment` is all that launcher and monitors get of the daemon's.

    `slots` is how many parked slots of each kind are kept ready. `host_layer` gives a detached mount of what hides the
    machine's secrets from containers of the image `host`; each launcher gets one and closes it.
    """

    def __init__(
        self,
        exec_root: str,
        data_root: str,
        environment: dict[str, str],
        slots: int = 2,
        host_layer: Callable[[], int] | None = None,
        roots: Roots = Roots(),  # noqa: B008 - immutable
        log_format: str = TEXT,
    ) -> None:
        self._exec_root = exec_root
        self._roots = roots
        self._launcher = LauncherPort(exec_root, data_root, environment, host_layer, log_format)
        self._followers = Followers(self._launcher)
        self._trash = Trash(Path(exec_root) / "trash")
        self._live: dict[str, Monitored] = {}
        self._leaving: dict[str, Monitored] = {}
        """ended, but the monitor still flushes, unmounts and removes groups"""
        self._pool = Pool(self._launcher.fork, f"{exec_root}/containers", slots)
        self._exec_pool = ExecPool(self._launcher.fork)
        self._asides = Asides(exec_root, environment)
        self._resolver = ResolverPort(self._launcher, exec_root, self._pidfds, self._monitor)
        self.proxy, self.unname = self._resolver.proxy, self._resolver.forget
        self.use_servers = self._resolver.use_servers
        self._exit_calls: list[Callable[[ContainerId, Exit], None]] = []
        self.on_exit = self._exit_calls.append
        self._exec_exit_calls: list[Callable[[ContainerId, ExecId, Exit], None]] = []
        self.on_exec_exit = self._exec_exit_calls.append
        self._detach_calls: list[Callable[[ContainerId, ExecId | None], None]] = []
        self.on_detach = self._detach_calls.append

    def inherited(self) -> list[socket.socket]:
        """Listening sockets that an earlier daemon's launcher kept; it ends now. Called before `open`, at most once."""
        return self._launcher.inherit()

    def keep(self, sockets: list[socket.socket]) -> None:
        """Have the launcher keep these listening sockets beyond this process."""
        self._launcher.keep(sockets)

    @property
    def launcher_pid(self) -> int:
        """See `port.Runtime`."""
        return self._launcher.pid

    async def open(self) -> tuple[Adopted, ...]:
        """See `port.Runtime`."""
        await self._launcher.open()
        containers: dict[str, tuple[Running, Exit | None, bool]] = {}
        execs: dict[str, list[ExecId]] = {}
        for found in adoption.scan(self._exec_root):
            exited = found.exit
            if found.channel is not None:
                exited = await self._adopt(found, found.channel)
            if found.id == found.container:
                containers[found.id] = (found.running, exited, exited is None and ending.frozen(found.groups))
            elif exited is None:
                execs.setdefault(found.container, []).append(ExecId(found.id))
            else:
                adoption.discard(found.directory)
        self._asides.sweep(name for name, (_, exited, _) in containers.items() if exited is None)
        return tuple(
            Adopted(ContainerId(name), running, exited, tuple(execs.get(name, ())), paused)
            for name, (running, exited, paused) in containers.items()
        )

    async def _adopt(self, found: adoption.Found, channel: socket.socket) -> Exit | None:
        """Take over a monitor; its first packet says whether the program still runs."""
        monitored = Monitored(found.id, ContainerId(found.container), found.directory, found.groups)
        monitored.when_detached = self._detached
        monitored.listen(channel, self._ended)
        self._live[found.id] = monitored
        monitored.watch_monitor(os.pidfd_open(found.running.monitor_pid), self._monitor_gone)
        try:
            await monitored.started
        except StartFailed:
            # It ended between the look at its record and the connection; the record has been told to `_ended`.
            return monitored.exit
        return monitored.exit

    async def close(self) -> None:
        """See `port.Runtime`."""
        await asyncio.gather(self._pool.close(), self._exec_pool.close())
        for monitored in [*self._live.values(), *self._leaving.values()]:
            monitored.let_go()
        self._followers.let_go()
        self._resolver.close()
        await self._launcher.close()
        self._trash.close()

    def reserve(self, bridge: bool, users: bool = False) -> ContainerId:
        """See `port.Runtime`."""
        return self._pool.reserve(SlotKind(bridge, users)) or ContainerId(new_id())

    def open_pool(
        self, make: Callable[[ContainerId, SlotKind], SlotPlan], lost: Callable[[ContainerId], None] = lambda _: None
    ) -> None:
        """Begin to keep parked slots: see `Pool.open`."""
        self._pool.open(make, lost)
        self._exec_pool.refill()

    async def start(self, request: StartRequest) -> Running:
        """See `port.Runtime`."""
        await self.let_go(request.id)
        directory = f"{self._exec_root}/containers/{request.id}"
        slot = self._pool.take(request)
        await self._pool.given_up(request.id)
        opened: list[int] = []
        self._pool.start_begins()
        try:
            if isinstance(request.root, ServedRoot):
                opened.append(await self._served(request.root))
            opened += open_binds(request.config.mounts, self._roots)
            opened += open_namespaces([path for path, _ in plan.joined(request.config)])
            descriptors = [*opened, *(held.fileno() for held in request.held), *clients(request.attach)]
            if len(descriptors) > _MOST_DESCRIPTORS:
                what = f"{len(descriptors)} mounts, published ports and clients"
                raise StartFailed(StartFault.OTHER, f"{what} are too many for one start, at most {_MOST_DESCRIPTORS}")
            if slot is not None:
                claimed, slot = slot, None
                claimed.monitored.claim(request.id, request.id, directory, request.cgroup.groups)
                body = plan.start(request, directory, claimed.plan.cgroup)
                return await self._claim(claimed.monitored, Kind.START, body, descriptors)
            monitored = Monitored(request.id, request.id, directory, request.cgroup.groups)
            if request.resolver:
                await self._resolver.ready()
            kind, body, first = await self._asides.start(request, directory)
            opened += first
            running = await self._launch(kind, monitored, body, [*first, *descriptors])
            if request.resolver:
                self._resolver.serve(request.id, monitored.pidfd)
            return running
        finally:
            self._pool.start_ends()
            if slot is not None:
                await self._pool.return_unused(slot)
            close_all(opened)
            close_clients(request.attach)

    async def _served(self, root: ServedRoot) -> int:
        try:
            return await asyncio.to_thread(self._roots.served, root)
        except OSError as error:
            raise StartFailed(StartFault.OTHER, f"the container's root: {error.strerror}", error.errno or 0) from error

    async def check_criu(self) -> None:
        """See `port.Runtime`."""
        await self._asides.checkpoints.program()

    async def dump(self, container: ContainerId, request: Dump) -> None:
        """See `port.Runtime`."""
        await self._asides.checkpoints.dump(self._live[container], request)

    async def exec(self, request: ExecRequest) -> Running:
        """See `port.Runtime`."""
        container = self._live[request.container]
        directory = f"{self._exec_root}/execs/{request.id}"
        descriptors = [container.pidfd, *clients(request.attach)]
        first: list[int] = []
        try:
            kind, body, first = self._asides.execute(request, directory, container.pid)
            if kind is Kind.EXEC and (parked := self._exec_pool.take()) is not None:
                parked.claim(request.id, request.container, directory, request.cgroup.groups)
                return await self._claim(parked, kind, body, descriptors)
            monitored = Monitored(request.id, request.container, directory, request.cgroup.groups)
            return await self._launch(kind, monitored, body, [*first, *descriptors])
        finally:
            self._exec_pool.refill()
            close_all(first)
            close_clients(request.attach)

    async def _claim(self, monitored: Monitored, kind: Kind, body: plan.Json, descriptors: list[int]) -> Running:
        """Start from a parked monitor."""
        monitored.when_detached = self._detached
        monitored.rewatch(self._monitor_gone, self._ended)
        self._live[monitored.id] = monitored
        try:
            monitored.post(kind, body, descriptors)
            return await monitored.started
        except ChannelClosed as closed:
            await self._failed(monitored)
            raise StartFailed(StartFault.OTHER, "the parked monitor ended") from closed
        except BaseException:
            await self._failed(monitored)
            raise

    async def _failed(self, monitored: Monitored) -> None:
        """A start that failed: its monitor takes everything back and ends, or was killed; then nothing of it is left."""
        if self._live.get(monitored.id) is monitored and monitored.exit is None:
            del self._live[monitored.id]
        await monitored.wait_gone(_OLD_MONITOR_SECONDS)
        monitored.let_go()
        if monitored.is_exec:
            adoption.discard(monitored.directory)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, adoption.clear_up, monitored.groups, monitored.directory)

    async def _launch(self, kind: Kind, monitored: Monitored, body: plan.Json, descriptors: list[int]) -> Running:
        ours, theirs = pair()
        monitored.when_detached = self._detached
        monitored.listen(ours, self._ended)
        self._live[monitored.id] = monitored
        try:
            pidfd = await self._launcher.fork(kind, body, [theirs.fileno(), *descriptors])
            monitored.watch_monitor(pidfd, self._monitor_gone)
            theirs.close()
            return await monitored.started
        except BaseException:
            theirs.close()
            await self._failed(monitored)
            raise

    async def let_go(self, container: ContainerId) -> None:
        """See `port.Runtime`. One owner for each upper directory: the last run's monitor must have let go of the overlay."""
        old = self._leaving.get(container)
        if old is not None and not await old.wait_gone(_OLD_MONITOR_SECONDS):
            raise StartFailed(
                StartFault.OTHER, f"the previous run of container {container[:12]} has not let go of its file system"
            )

    def _detached(self, monitored: Monitored) -> None:
        for call in self._detach_calls:
            call(monitored.container, ExecId(monitored.id) if monitored.is_exec else None)

    def _ended(self, monitored: Monitored, ended: Exit) -> None:
        """A monitor has said how its program ended, or is gone without having said it."""
        if self._live.get(monitored.id) is monitored:
            del self._live[monitored.id]
        if not monitored.gone:
            self._leaving[monitored.id] = monitored
        if monitored.is_exec:
            self._trash.take(Path(monitored.directory))
            for exec_call in self._exec_exit_calls:
                exec_call(monitored.container, ExecId(monitored.id), ended)
        else:
            for call in self._exit_calls:
                call(monitored.container, ended)

    def _monitor_gone(self, monitored: Monitored) -> None:
        self._leaving.pop(monitored.id, None)
        if monitored.exit is None and self._live.get(monitored.id) is monitored and monitored.has_started:
            _log.warning("the monitor of %s is gone: its program is killed", monitored.id[:12])
            task = asyncio.get_running_loop().run_in_executor(None, self._kill_orphan, monitored)
            task.add_done_callback(lambda done: monitored.say_ended(done.result()))

    @staticmethod
    def _kill_orphan(monitored: Monitored) -> Exit:
        ended = adoption.lost(monitored.groups, monitored.pid, monitored.pid_start, monitored.is_exec)
        # It may have recorded how the program ended, and died before it could say so.
        return adoption.recorded_exit(monitored.directory) or ended

    async def attach(self, target: ContainerId | ExecId, spec: AttachSpec) -> None:
        """See `port.Runtime`."""
        try:
            monitored = self._live[target]
            await monitored.ask(Kind.ATTACH, {"attach": plan.attaches([spec])}, clients([spec]))
        except OSError as error:
            if str(error) == BEHIND:
                raise Behind from error
            raise
        finally:
            close_clients([spec])

    async def follow(self, container: ContainerId, request: FollowRequest, gone: Callable[[], None]) -> bool:
        """See `port.Runtime`."""
        monitored = self._live.get(container)
        return monitored is not None and await self._followers.begin(monitored, request, gone)

    async def resize(self, target: ContainerId | ExecId, rows: int, columns: int) -> None:
        """See `port.Runtime`."""
        await self._live[target].ask(Kind.RESIZE, {"rows": rows, "columns": columns})

    async def clear_log(self, container: ContainerId) -> None:
        """See `port.Runtime`."""
        monitored = self._live[container]
        if not monitored.clears_log:
            raise OSError("it was started by an earlier release; after its next start it can")
        await monitored.ask(Kind.CLEAR_LOG, {})

    def _pidfds(self) -> dict[str, int]:
        return {name: one.pidfd for name, one in self._live.items() if not one.is_exec and one.pidfd >= 0}

    def _monitor(self, container: str) -> int:
        monitored = self._live.get(container)
        return monitored.pidfds()[1] if monitored is not None else -1

    def know(self, container: ContainerId, named: Named) -> None:
        """See `port.Runtime`."""
        self._resolver.know(container, named)
        monitored = self._live.get(container)
        if monitored is not None and monitored.pidfd >= 0:
            self._resolver.serve(container, monitored.pidfd)

    async def relink(self, container: ContainerId, change: LinkChange) -> None:
        """See `port.Runtime`."""
        await relink(self._launcher, self._live[container], change)

    def signal(self, target: ContainerId | ExecId, number: int) -> None:
        """See `port.Runtime`."""
        self._live[target].signal(number)

    async def pause(self, container: ContainerId) -> None:
        """See `port.Runtime`."""
        monitored = self._live[container]
        monitored.stands_still(await asyncio.get_running_loop().run_in_executor(None, ending.freeze, monitored.groups))

    def unpause(self, container: ContainerId) -> None:
        """See `port.Runtime`."""
        self._live[container].go_on()

    async def kill_all(self, container: ContainerId) -> None:
        """See `port.Runtime`."""
        monitored = self._live.get(container)
        if monitored is not None and not monitored.groups:
            self.signal(container, signal.SIGKILL)
        elif monitored is not None:
            await asyncio.get_running_loop().run_in_executor(None, ending.kill, monitored.groups)

    def forget(self, container: ContainerId) -> None:
        """See `port.Runtime`."""
        self._trash.take(Path(f"{self._exec_root}/containers/{container}"))

    def groups(self, container: ContainerId) -> Mapping[str, str]:
        """See `port.Runtime`."""
        return self._live[container].groups

    def pids(self, container: ContainerId) -> tuple[int, ...]:
        """See `port.Runtime`."""
        monitored = self._live.get(container)
        if monitored is None:
            return ()
        return tuple(cgroups.procs(monitored.groups) if monitored.groups else processes_beside(monitored.pid))
