"""Start: a container's program is executed, or everything that was made for it is gone and its state says why."""

import asyncio
import os
import socket
import time
from concurrent.futures import Future

from sampan.crashpoints import crash_point
from sampan.daemon import (
    checkpoints,
    etc,
    health,
    log_settings,
    mounts,
    oci,
    oom,
    propagation,
    reaper,
    runtimes,
    userns_mode,
    verify,
)
from sampan.daemon.container import Container
from sampan.daemon.definition import ENDPOINTS, STATES, Definition, encode
from sampan.daemon.engine import Engine
from sampan.daemon.needs import Connected
from sampan.daemon.remove import remove_locked
from sampan.daemon.start_faults import specification_failure, translated_failure
from sampan.daemon.states import State, Status
from sampan.daemon.users import check_shared
from sampan.errors import Conflict, InvalidParameter, NotImplementedHere, NotModified, SampanError, System
from sampan.runtime.request import OtherRuntime, Restore, StartRequest, Stdio
from sampan.spec.containers import ExitCause
from sampan.spec.requests import RemoveOptions, StartOptions
from sampan.state.store import Change, Put


async def start(engine: Engine, reference: str, options: StartOptions) -> None:
    """Start a container. Raises NotModified where it runs; BadStart, System where the program is not executed."""
    checkpoint = options.checkpoint
    checkpoints.refuse_start(engine, checkpoint, options.checkpoint_dir)
    container = engine.find(reference)
    async with container.lock:
        _check(container)
        images = await checkpoints.images(engine, container, checkpoint) if checkpoint else -1
        try:
            restore = Restore(images) if checkpoint else None
            await start_locked(engine, container, explain=options.explain, restarts=0, restore=restore)
        finally:
            if images >= 0:
                os.close(images)


def _check(container: Container) -> None:
    status = container.state.status
    if container.removing or status in (Status.REMOVING, Status.DEAD):
        raise Conflict("container is marked for removal and cannot be started")
    if status is Status.PAUSED:
        raise Conflict("cannot start a paused container, try unpause instead")
    if container.state.running:
        raise NotModified("container is already running")


async def start_locked(
    engine: Engine, container: Container, *, explain: bool, restarts: int, restore: Restore | None = None
) -> None:
    """`start` for a caller that holds the container's lock and has judged its state."""
    ends: Connected | None = None
    letters: tuple[socket.socket, ...] = ()
    if engine.transfers.busy(container.id):
        await engine.transfers.settle(container.id)
    await engine.looks.end(container.id)
    if container.attaching:
        await container.attached()
    await container.settled()
    container.starting = True
    try:
        ends = await _connect(engine, container)
        engine.linked.join(container, engine.wiring)
        letters = await engine.volumes.hold(container.id, mounts.volume_names(container.definition.mounts))
        try:
            request = _request(engine, container, ends, letters, explain=explain, restore=restore)
        except InvalidParameter as error:
            raise specification_failure(error) from error
        started = _running(container.state, restarts)
        recorded = _record(engine, container, started, ends)
        crash_point("start-before-request")
        engine.shipping.starts(container.definition)
        running = await engine.runtime.start(request)
        crash_point("start-after-request")
        await _durable(engine, container, recorded)
    except BaseException as error:
        container.starting = False
        container.early_exit = None
        if ends is not None:
            engine.wiring.release(container.id)
        engine.shm.release(container.id)
        engine.volumes.let_go(container.id)
        engine.shipping.ended(container.id)
        container.drop_clients()
        if isinstance(error, Exception):
            raise await _failed(engine, container, error) from error
        raise
    finally:
        for letter in letters:
            letter.close()
    engine.wiring.started(container.id)
    container.steps = running.steps
    container.stop_requested = False
    container.asked = None
    container.state = started.marked(pid=running.pid, started_ns=running.started_ns)
    health.begin(engine, container)
    oom.begin(engine, container)
    etc.tell_parents(engine, container, ends)
    engine.links(container, "mount")
    engine.event(container, "start")
    container.starting = False
    if container.early_exit is not None:
        ended, container.early_exit = container.early_exit, None
        engine.ended(container.id, ended)


def _running(state: State, restarts: int) -> State:
    return state.to(
        Status.RUNNING,
        pid=0,
        exit_code=0,
        oom_killed=False,
        error="",
        started_ns=time.time_ns(),
        restarts=restarts,
        delay=state.delay if restarts else 0.0,
        asked_to_stop=False,
    )


def _record(engine: Engine, container: Container, state: State, ends: Connected) -> "Future[None]":
    """Hand in that the container runs, and where, before it does: the disk works while the kernel does.

    A program that runs without this record belongs to a start that nobody was told of.
    """
    changes: list[Change] = [Put(STATES, container.id, encode(state))]
    if ends.kept:
        changes.append(Put(ENDPOINTS, container.id, ends.kept))
    return engine.store.commit(changes)


async def _durable(engine: Engine, container: Container, recorded: "Future[None]") -> None:
    """The answer waits for the record. Where the disk does not take it, the program does not stay."""
    try:
        if not recorded.done():
            await asyncio.wrap_future(recorded)
        recorded.result()
    except SampanError:
        await engine.runtime.kill_all(container.id)
        engine.runtime.forget(container.id)
        raise
    crash_point("start-after-commit")


async def _connect(engine: Engine, container: Container) -> Connected:
    definition = container.definition
    if verify.joins(definition.host.network_mode) or definition.config.network_disabled:
        return Connected()
    return await engine.wiring.connect(definition, engine.linked.hosts_lines(container, engine.wiring))


def _request(
    engine: Engine,
    container: Container,
    ends: Connected,
    letters: tuple[socket.socket, ...],
    *,
    explain: bool,
    restore: Restore | None,
) -> StartRequest:
    definition = container.definition
    host, config = definition.host, definition.config
    for point in definition.mounts:
        if point.type == "bind":
            propagation.check(point.source, point.propagation, str(engine.config.data_root))
    joined = _joined(engine, container, ends)
    configuration = oci.configuration(definition, engine.around, joined)
    other = _other_runtime(engine, definition, hooks=bool(configuration.hooks), restores=restore is not None)
    if other is not None and configuration.init:
        configuration = reaper.in_front(configuration, reaper.program(f"the runtime {other.name}"))
    attach, container.held_clients = tuple(container.held_clients), []
    return StartRequest(
        id=container.id,
        config=configuration,
        root=engine.layers.mount_of(container.id),
        stdio=Stdio(config.tty, config.open_stdin, config.stdin_once),
        log=log_settings.spec(engine.directory(definition.id), definition),
        cgroup=engine.cgroups.plan(container.id, oci.cgroup_parent(host, engine.around), configuration.linux.resources),
        link=ends.link,
        more_links=ends.more_links,
        resolver=ends.resolver,
        held=(*ends.held, *letters),
        attach=attach,
        explain=explain,
        volatile=host.auto_remove,
        restore=restore,
        runtime=other,
    )


def _other_runtime(engine: Engine, definition: Definition, *, hooks: bool, restores: bool) -> OtherRuntime | None:
    """Who makes it, as configured now; None for Sampan's own runtime. Raises InvalidParameter, NotImplementedHere.

    Hooks of a device (CDI) are run by `sampan-oci`: the launcher's processes do not see the host's programs.
    """
    name = definition.host.runtime
    if name == runtimes.OWN and not hooks:
        return None
    found = runtimes.find(engine.config, name)
    who = f"the runtime {name}" if found is not None else "a device that wants programs run (CDI hooks)"
    if found is None and hooks:
        found = runtimes.own_command()
    if found is not None:
        init = oci.wants_init(definition.host, default=engine.around.init)
        runtimes.refuse(who, rootless=engine.config.rootless, init=init, users=definition.users is not None)
        if restores:
            raise NotImplementedHere(f"a start from a checkpoint is not implemented with {who}")
    return found


def _joined(engine: Engine, container: Container, ends: Connected) -> oci.Joined:
    definition = container.definition
    host, config = definition.host, definition.config
    pids = {}
    for kind, mode in (("pid", host.pid_mode), ("ipc", host.ipc_mode), ("network", host.network_mode)):
        if name := verify.joins(mode):
            donor = _donor(engine, container, kind, name)
            check_shared(definition, donor.definition)
            pids[kind] = donor.state.pid
    if name := userns_mode.asked(host).donor:
        pids["user"] = _donor(engine, container, "user", name).state.pid
    if config.network_disabled:
        files: dict[str, str] = {}
        hostname, domainname = config.hostname, config.domainname
    elif name := verify.joins(host.network_mode):
        donor = engine.find(name)
        files = etc.files(engine, donor.id)
        hostname, domainname = donor.definition.config.hostname, donor.definition.config.domainname
    else:
        etc.write(engine, container.id, config.hostname, ends)
        files = etc.files(engine, container.id)
        hostname, domainname = config.hostname, config.domainname
    return oci.Joined(
        hostname=hostname,
        domainname=domainname,
        mounts=mounts.at_start(
            definition.mounts, engine.volumes, files, readonly=host.readonly_rootfs, users=definition.users
        ),
        pids=pids,
        linked=engine.linked.environment(container, engine.wiring),
        shm=engine.shm.source(
            container.id, host.ipc_mode, host.shm_size, definition.users.root if definition.users else (0, 0)
        ),
    )


def _donor(engine: Engine, container: Container, kind: str, name: str) -> Container:
    """The running container whose namespace is joined. Raises System, Conflict in Docker's words."""
    try:
        donor = engine.find(name)
    except SampanError as error:
        how = (
            "joining network namespace of container"
            if kind == "network"
            else f"failed to join {kind.upper()} namespace"
        )
        raise System(f"{how}: {error}") from error
    if kind == "network":
        if donor is container:
            raise System("cannot join own network namespace")
        if not donor.state.running:
            status = f"container {donor.name} is {donor.state.status}"
            raise Conflict(f"cannot join network namespace of a non running container: {status}")
        if donor.state.status is Status.RESTARTING:
            why = f"Container {name} is restarting, wait until the container is running"
            raise Conflict(f"cannot join network namespace of container: {why}")
        return donor
    prefix = f"failed to join {kind.upper()} namespace: "
    if donor.state.status is Status.RESTARTING:
        raise System(f"{prefix}Container {name} is restarting, wait until the container is running")
    if not donor.state.alive:
        raise System(f"{prefix}container {name} is not running")
    if kind == "ipc" and donor.definition.host.ipc_mode != "shareable":
        raise System(
            f"{prefix}container {name}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )
    return donor


async def _failed(engine: Engine, container: Container, error: Exception) -> SampanError:
    """Record why a start failed, and translate it. A container that goes with its run is removed."""
    translated, code = translated_failure(error)
    # Docker leaves the status as it was: a container that never ran stays "created", with an exit code.
    cause = ExitCause(kind="not-started", text=str(translated), exit_code=code)
    container.state = container.state.marked(exit_code=code, error=str(translated), pid=0, cause=cause)
    engine.record(container)
    if container.definition.host.auto_remove:
        await remove_locked(engine, container, RemoveOptions(force=True, volumes=True))
    return translated
