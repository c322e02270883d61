"""RUN of a build on the runtime of containers: the same namespaces, groups, filters and limits, and no record of it.

    reserve an id ─ connect ─ files of /etc, secrets in memory ─▶ runtime.start, tied to a connection of ours ─▶ its output
                                                                                                  ▼
                          everything is taken back ◀── let go of the root ◀── the end (on_exit) ◀─┘

It is tied: when this daemon dies, the monitor finds its only client gone and kills the program. What it stood in is swept at
the next start, like that of a container whose start was never recorded.
"""

import asyncio
import logging
import os
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec

from sampan.build.needs import Bound, Listener, Memory, Mounted, Order, Secret, Socket
from sampan.build.threads import carried_through
from sampan.daemon import etc, merge, mounts, oci, users, verify
from sampan.daemon.agent_relay import relayed
from sampan.daemon.create import remove_directory
from sampan.daemon.definition import Definition
from sampan.daemon.engine import Engine
from sampan.daemon.memory_files import MemoryFiles
from sampan.daemon.needs import Connected
from sampan.daemon.start_faults import translated_failure
from sampan.errors import Conflict, InvalidParameter
from sampan.runtime.request import AttachSpec, Exit, LogSpec, StartRequest, Stdio
from sampan.spec import oci_runtime
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig, Resources
from sampan.spec.ids import ContainerId, new_id
from sampan.spec.user_maps import UserMaps, on_host

_log = logging.getLogger("sampan.daemon")
_FRAME = struct.Struct(">BxxxI")
_CHUNK = 1 << 16


class BuildPrograms:
    """Implements `build.needs.Programs`. On the event loop."""

    def __init__(self, engine: Engine) -> None:
        """To be made before anything is built: the ends of programs are heard from here on."""
        self._engine = engine
        self._ends: dict[ContainerId, asyncio.Future[Exit]] = {}

    def on_exit(self, container: ContainerId, ended: Exit) -> None:
        """The runtime says that a program has ended."""
        waiting = self._ends.get(container)
        if waiting is not None and not waiting.done():
            waiting.set_result(ended)

    async def run(self, order: Order, listener: Listener) -> int:
        """See the Protocol."""
        engine = self._engine
        host = _host_config(engine, order)
        plain = host.network_mode in ("bridge", "none") and not host.privileged
        container = engine.runtime.reserve(host.network_mode != "none") if plain else ContainerId(new_id())
        users.check(host, engine.users.default)
        definition = _definition(container, order, host, engine.users.default)
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.callback(theirs.close)
            stack.callback(ours.close)
            stack.callback(engine.runtime.forget, container)
            stack.callback(remove_directory, engine, container)
            os.mkdir(engine.directory(container), 0o710)
            ends = Connected()
            if not verify.joins(host.network_mode):
                ends = await engine.wiring.connect(definition)
                stack.callback(engine.wiring.release, container)
            files = stack.enter_context(MemoryFiles(engine.config.exec_root / "build", container))
            mounted = [await _mount(each, files, stack, definition.users) for each in order.mounts]
            request = self._request(definition, order, ends, mounted, theirs)
            self._ends[container] = asyncio.get_running_loop().create_future()
            stack.callback(self._ends.pop, container)
            return await self._carry_out(request, ours, listener)

    async def _carry_out(self, request: StartRequest, ours: socket.socket, listener: Listener) -> int:
        """Start it and see it to its end; cancelled, to a quick one."""
        container = request.id
        reading = asyncio.get_running_loop().create_task(_read(ours, listener))
        try:
            listener.running(container)
            try:
                await self._engine.runtime.start(request)
            except Exception as error:
                raise translated_failure(error)[0] from error
            self._engine.wiring.started(container)
            ended = await asyncio.shield(self._ends[container])
            # The monitor closes its end when everything is sent; a slow client of the build's is waited for.
            await reading
            return ended.code
        finally:
            reading.cancel()
            await carried_through(self._end(container))

    async def _end(self, container: ContainerId) -> None:
        await self._engine.runtime.kill_all(container)
        await self._engine.runtime.let_go(container)

    def _request(
        self,
        definition: Definition,
        order: Order,
        ends: Connected,
        asked: Sequence[oci_runtime.Mount],
        client: socket.socket,
    ) -> StartRequest:
        engine, host, container = self._engine, definition.host, definition.id
        pids = {}
        if name := verify.joins(host.network_mode):
            donor = engine.find(name)
            if not donor.state.running:
                raise Conflict(f"cannot join network namespace of a non running container: {donor.name}")
            pids["network"] = donor.state.pid
            own = etc.files(engine, donor.id)
        else:
            etc.write(engine, container, definition.config.hostname, ends)
            own = etc.files(engine, container)
        taken = {each.destination for each in asked}
        fixed = [
            each
            for each in mounts.at_start((), engine.volumes, own, readonly=False, users=definition.users)
            if each.destination not in taken
        ]
        joined = oci.Joined(
            hostname=definition.config.hostname,
            mounts=tuple(sorted((*asked, *fixed), key=lambda each: each.destination.count("/"))),
            pids=pids,
        )
        configuration = oci.configuration(definition, engine.around, joined)
        parent = oci.cgroup_parent(host, engine.around)
        return StartRequest(
            id=container,
            config=configuration,
            root=order.root,
            stdio=Stdio(tied=True),
            log=LogSpec(None),
            cgroup=engine.cgroups.plan(container, parent, configuration.linux.resources),
            link=ends.link,
            more_links=ends.more_links,
            resolver=ends.resolver,
            held=ends.held,
            attach=(AttachSpec(client, framed=True),),
            volatile=order.once,
        )


def _host_config(engine: Engine, order: Order) -> HostConfig:
    settings = order.settings
    resources = {name: getattr(settings.resources, name) for name in Resources.__struct_fields__}
    network = order.run.network if order.run.network != "default" else settings.network
    host = HostConfig(
        **{
            **resources,
            "cgroup_parent": settings.cgroup_parent or settings.resources.cgroup_parent,
            "network_mode": network,
            "shm_size": settings.shm_size,
            "ulimits": settings.ulimits or None,
            "extra_hosts": settings.extra_hosts or None,
            "ipc_mode": "private",
            "privileged": order.run.security == "insecure",
        }
    )
    return merge.with_defaults(host, engine.config, cgroup_v2=engine.around.cgroup_v2, thermal=engine.around.thermal)


def _definition(container: ContainerId, order: Order, host: HostConfig, maps: UserMaps | None) -> Definition:
    run = order.run
    config = ContainerConfig(
        hostname="" if host.network_mode == "host" else container[:12],
        user=run.user,
        env=(*run.environment, *order.more_environment),
        working_dir=run.directory,
        cmd=run.arguments,
    )
    return Definition(
        id=container,
        name="",
        created_ns=time.time_ns(),
        image="",
        image_id=None,
        config=config,
        host=host,
        path=run.arguments[0],
        args=run.arguments[1:],
        users=maps,
    )


async def _mount(mount: Mounted, files: MemoryFiles, stack: AsyncExitStack, maps: UserMaps | None) -> oci_runtime.Mount:
    match mount:
        case Memory():
            size = (f"size={mount.size}",) if mount.size else ()
            return oci_runtime.Mount(mount.target, "tmpfs", "tmpfs", ("nosuid", "nodev", *size))
        case Secret():
            source = files.put(mount.content, mount.mode, *_on_host(mount, maps))
            return oci_runtime.Mount(mount.target, "bind", source, ("bind", "ro", "nosuid", "nodev", "rprivate"))
        case Socket():
            uid, gid = _on_host(mount, maps)
            source = files.place()
            await stack.enter_async_context(relayed(msgspec.structs.replace(mount, uid=uid, gid=gid), source))
            return oci_runtime.Mount(mount.target, "bind", source, ("bind", "nosuid", "nodev", "rprivate"))
        case Bound():
            # The engine's own view of a tree is noexec; a step may run what another has built.
            words = ("bind", *(("ro",) if mount.read_only else ()), "nosuid", "nodev", "exec", "rprivate")
            # The view of an image of several layers is an overlay.
            words += ("idmap-if-can",) if maps is not None else ()
            source = mount.source or f"/proc/self/fd/{mount.tree}"
            return oci_runtime.Mount(mount.target, "bind", source, words, below=mount.below)


def _on_host(mount: Secret | Socket, maps: UserMaps | None) -> tuple[int, int]:
    """The host's ids of whom a file is to belong to inside. Raises InvalidParameter."""
    if maps is None:
        return mount.uid, mount.gid
    try:
        return on_host(maps.uids, mount.uid), on_host(maps.gids, mount.gid)
    except ValueError as error:
        raise InvalidParameter(f"the mount at {mount.target}: {error} in the daemon's user namespaces") from error


async def _read(sock: socket.socket, listener: Listener) -> None:
    """Pass on what the monitor sends of the program's streams, to the end of both."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    held = b""
    while chunk := await loop.sock_recv(sock, _CHUNK):
        held += chunk
        while len(held) >= _FRAME.size:
            stream, length = _FRAME.unpack_from(held)
            if len(held) < _FRAME.size + length:
                break
            await listener.said(stream, held[_FRAME.size : _FRAME.size + length])
            held = held[_FRAME.size + length :]
