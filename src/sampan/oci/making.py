"""`create`: a container that stands, and whose program waits at a gate for `start`.

    caller's process (host's mounts)          builder, a child (a small root)            init
      │ opens rootfs, binds, namespaces
      │ ── fork ─────────────────────────────▶│ control groups ── clone3 ────────────────▶│ makes its world
      │ ◀── READY {pid} ──────────────────────│                                           │
      │ hooks: prestart, createRuntime        │                                           │
      │ ── GO ───────────────────────────────▶│ ── SETUP, ROOT + descriptors ────────────▶│ pivot, mounts, masks
      │ ◀── READY; hooks: createContainer; GO ▶ │ (only with such hooks) ◀── READY; GO ──▶│ halts
      │                                       │ ── GO ───────────────────────────────────▶│ user, filter
      │                                       │ ◀── READY + terminal; READY at the gate ──│ waits
      │ ◀── STARTED + pidfd, terminal ────────│ ends
      │ state.json, pid file, console socket
      ends: init belongs to the next subreaper (containerd's shim, conmon)

The same steps as under Sampan's own daemon (`runtime.plan`, `runtime.init`), but for the gate and for the streams, which are the
caller's own.
"""

import json
import os
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from sampan.cgroups.apply import procs
from sampan.cgroups.plan import CgroupPlan
from sampan.errors import SampanError, System
from sampan.files.copying import copy_tree
from sampan.files.root import SafeRoot
from sampan.kernel.mount import AT_FDCWD, MS, OpenTree, mount_setattr, open_tree
from sampan.kernel.process import Prctl, Title, prctl
from sampan.oci import hooks, inside
from sampan.oci.containers import GATE, Container, Kept, State
from sampan.oci.translate import COPY_UP, Arrangement
from sampan.oci.words import SPECIFICATION
from sampan.runtime import builder, group_plan, launcher_root, plan, sources
from sampan.runtime.birth import Birth
from sampan.runtime.messages import Kind, Message, pair, receive, send
from sampan.runtime.record import boot_id, start_time
from sampan.runtime.request import StartFailed
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import instance
from sampan.runtime.world_plan import Step, world

_PROPAGATION = {"private": MS.PRIVATE, "slave": MS.SLAVE, "shared": MS.SHARED, "unbindable": MS.UNBINDABLE}


@dataclass(slots=True)
class Made:
    """A container at its gate: its init's pidfd, and the terminal's master or -1."""

    kept: Kept
    pidfd: int
    terminal: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What the container gets from the host, as descriptors."""

    tree: int
    binds: list[int]
    joins: list[int]
    gate: int

    def close(self) -> None:
        """Close all."""
        sources.close_all([self.tree, *self.binds, *self.joins, self.gate])


def create(container: Container, bundle: str, wanted: Arrangement, cgroup: CgroupPlan, keyring: bool) -> Made:
    """Make it. `keyring`: with a session keyring of its own. Raises SampanError; then only its directory is left."""
    if standing := procs(cgroup.groups):
        # Whatever is undone later would take them with it.
        raise System(f"container's cgroup is not empty: {len(standing)} process(es) found")
    opened = _open(container, wanted)
    ours, theirs = pair()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        ours.close()
        _build(theirs, container, wanted, cgroup, opened, keyring)
    theirs.close()
    opened.close()
    try:
        return _accompany(ours, container, bundle, wanted, cgroup)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _open(container: Container, wanted: Arrangement) -> Opened:
    """Raises System where the host does not have what the bundle names."""
    config = wanted.config
    descriptors: list[int] = []
    try:
        tree = open_tree(AT_FDCWD, os.fsencode(wanted.rootfs), OpenTree.CLONE | OpenTree.RECURSIVE)
        descriptors.append(tree)
        word = wanted.propagation.removeprefix("r") or "private"
        mount_setattr(
            tree, propagation=_PROPAGATION[word], recursive=wanted.propagation.startswith("r") or word == "private"
        )
        binds = []
        for mount in (mount for mount in config.mounts if mount.type == "bind"):
            if mount.destination in wanted.filled:
                opened = [_filled(wanted.rootfs, mount.destination, wanted.filled[mount.destination])]
            else:
                opened = sources.open_binds([mount], sources.Roots())
            binds += opened
            descriptors += opened
        joins = sources.open_namespaces([path for path, _ in plan.joined(config)])
        descriptors += joins
        path = container.directory / GATE
        os.mkfifo(path, 0o600)
        # Both ends: it is waited at until a byte comes, and no reader is told of an end before.
        gate = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except StartFailed as error:
        sources.close_all(descriptors)
        raise System(error.message) from error
    except OSError as error:
        sources.close_all(descriptors)
        raise System(f"error preparing rootfs {wanted.rootfs}: {os.strerror(error.errno or 0).lower()}") from error
    return Opened(tree, binds, joins, gate)


def _filled(rootfs: str, destination: str, options: tuple[str, ...]) -> int:
    """A file system in memory with a copy of what the root has at `destination`; links there lead inside the root only."""
    words = [option for option in options if option != COPY_UP]
    made = instance(b"tmpfs", [*words, "mode=755"] if not any(word.startswith("mode=") for word in words) else words)
    try:
        with SafeRoot(rootfs) as root:
            source = root.open(destination, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The mount's own descriptor is a path only.
            target = os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                copy_tree(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)
    except (FileNotFoundError, NotADirectoryError):
        # Nothing there to be copied.
        return made
    except BaseException:
        os.close(made)
        raise
    return made


def _accompany(
    channel: socket.socket, container: Container, bundle: str, wanted: Arrangement, cgroup: CgroupPlan
) -> Made:
    """The caller's side of the ladder."""
    born = _heard(channel, Kind.READY)
    state = State(
        oci_version=SPECIFICATION,
        id=container.name,
        status="creating",
        bundle=bundle,
        pid=int(born.body["pid"]),
        rootfs=wanted.rootfs,
        annotations=wanted.annotations,
    )
    hooks.run("prestart", wanted.hooks.prestart, state)
    hooks.run("createRuntime", wanted.hooks.create_runtime, state)
    send(channel, Kind.GO)
    if wanted.hooks.create_container:
        _heard(channel, Kind.READY)
        inside.run(wanted.hooks.create_container, state)
        send(channel, Kind.GO)
    stands = _heard(channel, Kind.STARTED)
    pidfd, *rest = stands.descriptors
    kept = Kept(
        id=container.name,
        boot=boot_id(),
        init=(state.pid, start_time(state.pid)),
        bundle=bundle,
        rootfs=wanted.rootfs,
        created=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        groups=cgroup.groups,
        namespaces=_to_join(wanted),
        writes=cgroup.writes,
        scope=cgroup.scope.unit if cgroup.scope else "",
        hooks=wanted.hooks,
        annotations=wanted.annotations,
    )
    return Made(kept, pidfd, rest[0] if rest else -1)


def _to_join(wanted: Arrangement) -> int:
    """The namespaces that are not the host's: what an exec joins."""
    found = 0
    for namespace in wanted.config.linux.namespaces:
        found |= int(plan.NAMESPACE_FLAGS[namespace.type])
    return found


def _heard(channel: socket.socket, kind: Kind) -> Message:
    message = receive(channel)
    if message is not None and message.kind is kind:
        return message
    if message is not None and message.kind is Kind.FAILED:
        raise System(f"unable to start container process: {message.body['message']}")
    raise System("unable to start container process: its builder ended")


def _build(
    channel: socket.socket,
    container: Container,
    wanted: Arrangement,
    cgroup: CgroupPlan,
    opened: Opened,
    keyring: bool,
) -> None:
    """The builder. Called in a fresh child; never returns."""
    code = 1
    try:
        prctl(Prctl.SET_PDEATHSIG, 9)
        body = _body(container, wanted, cgroup, keyring)
        text = json.dumps(body).encode()
        message = Message(Kind.START, 0, text, [channel.detach(), *opened.binds, *opened.joins])
        build = builder.Build(message, Title())
        try:
            launcher_root.enter(container.root, str(container.directory), -1)
            _ladder(build, opened)
            code = 0
        except StepFailed as failed:
            builder.undo(build)
            builder.tell_failure(build.channel, failed, build.journal)
        except (OSError, SampanError) as error:
            builder.undo(build)
            builder.tell_failure(build.channel, builder.unforeseen(error), build.journal)
    except BaseException:  # noqa: BLE001 - the boundary of a process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _body(container: Container, wanted: Arrangement, cgroup: CgroupPlan, keyring: bool) -> dict[str, object]:
    """What of a START message the making of a container reads."""
    config, groups = wanted.config, cgroup.groups
    steps = world(config, container.name, groups, linked=False, preset={})
    if not keyring:
        steps = [step for step in steps if step[0] != "session_keyring"]
    masked = [["umask", wanted.umask]] if wanted.umask is not None else []
    return {
        "id": container.name,
        "flags": int(plan.namespace_flags(config)),
        "joins": [int(flag) for _, flag in plan.joined(config)],
        "binds": len([mount for mount in config.mounts if mount.type == "bind"]),
        "world": steps,
        "before": [],
        "root": _root_steps(wanted, groups),
        "halts": bool(wanted.hooks.create_container),
        "enter": [*plan.enter(config, groups), *masked],
        "cgroup": group_plan.body(cgroup, None),
        "init": False,
        "explain": False,
        "terminal": config.process.terminal,
        "oom_score_adj": config.process.oom_score_adj,
    }


def _root_steps(wanted: Arrangement, groups: dict[str, str]) -> list[Step]:
    steps = plan.root(wanted.config, groups, marker="", preset={})
    if wanted.hooks.create_container:
        # A hook writes into a root that the program will not.
        place = steps.index(["readonly_root"]) if wanted.config.root.readonly else len(steps)
        steps.insert(place, ["halt"])
    return steps


def _halt(channel: socket.socket, birth: Birth) -> None:
    """The container stands, and init goes on when the caller has run its hooks."""
    if birth.hear() is None:
        raise StepFailed("other", "init ended before the container stood")
    send(channel, Kind.READY)
    if (answer := receive(channel)) is None or answer.kind is not Kind.GO:
        raise StepFailed("other", "the caller ended")
    birth.tell(Kind.GO)


def _ladder(build: builder.Build, opened: Opened) -> None:
    body = build.body
    build.birth = birth = builder.bear(build)
    send(build.channel, Kind.READY, {"pid": birth.pid})
    if (answer := receive(build.channel)) is None or answer.kind is not Kind.GO:
        # A hook has failed, and the caller is gone.
        raise StepFailed("other", "the caller ended")
    birth.tell(Kind.SETUP, {name: body[name] for name in ("before", "root", "enter", "init", "explain")})
    streams = [] if body["terminal"] else [0, 1, 2]
    birth.tell(Kind.ROOT, {"streams": len(streams), "gate": True}, [opened.tree, *streams, *opened.binds, opened.gate])
    if body["halts"]:
        _halt(build.channel, birth)
    if body["oom_score_adj"] is not None:
        builder.oom_score(birth.pid, int(body["oom_score_adj"]))
    birth.tell(Kind.GO)
    terminal: list[int] = []
    if body["terminal"]:
        message = birth.hear()
        if message is None or not message.descriptors:
            raise StepFailed("other", "init made no terminal")
        terminal = message.descriptors
    if birth.hear() is None:
        raise StepFailed("other", "init ended before the program could be started")
    send(build.channel, Kind.STARTED, {}, [birth.pidfd, *terminal])
