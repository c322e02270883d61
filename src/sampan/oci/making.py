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

import os
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from sampan.cgroups.apply import procs
from sampan.cgroups.plan import CgroupPlan
from sampan.errors import System
from sampan.oci import agent, building, hooks, inside
from sampan.oci.containers import Container, Kept, State
from sampan.oci.opening import open_all
from sampan.oci.translate import Arrangement
from sampan.oci.words import SPECIFICATION
from sampan.runtime import plan
from sampan.runtime.messages import Kind, Message, pair, receive, send
from sampan.runtime.record import boot_id, start_time


@dataclass(slots=True)
class Made:
    """A container at its gate: its init's pidfd, and the terminal's master or -1."""

    kept: Kept
    pidfd: int
    terminal: int


def create(
    container: Container,
    bundle: str,
    wanted: Arrangement,
    cgroup: CgroupPlan,
    *,
    keyring: bool,
    preserved: list[int],
) -> Made:
    """Make it. `keyring`: with a session keyring of its own; `preserved`: descriptors of ours that the program gets, too.

    Raises SampanError; then only its directory is left.
    """
    if standing := procs(cgroup.groups):
        # Whatever is undone later would take them with it.
        raise System(f"container's cgroup is not empty: {len(standing)} process(es) found")
    state = State(
        oci_version=SPECIFICATION,
        id=container.name,
        status="creating",
        bundle=bundle,
        rootfs=wanted.rootfs,
        annotations=wanted.annotations,
    )
    body = building.body(container, wanted, cgroup, keyring, state)
    opened = open_all(container, wanted, preserved)
    ours, theirs = pair()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        ours.close()
        building.build(theirs.detach(), building.Building(container, wanted, opened, body))
    theirs.close()
    opened.close()
    try:
        return _accompany(ours, wanted, cgroup, state)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _accompany(channel: socket.socket, wanted: Arrangement, cgroup: CgroupPlan, state: State) -> Made:
    """The caller's side of the ladder."""
    born = _heard(channel, Kind.READY)
    state = state.of(int(born.body["pid"]))
    hooks.run("prestart", wanted.hooks.prestart, state)
    hooks.run("createRuntime", wanted.hooks.create_runtime, state)
    send(channel, Kind.GO)
    if wanted.hooks.create_container:
        _heard(channel, Kind.READY)
        inside.run(wanted.hooks.create_container, state)
        send(channel, Kind.GO)
    seccomp = wanted.config.linux.seccomp
    if seccomp is not None and seccomp.listener_path:
        agent.hand_over(seccomp, _heard(channel, Kind.READY).descriptors[0], state)
        send(channel, Kind.GO)
    stands = _heard(channel, Kind.STARTED)
    pidfd, *rest = stands.descriptors
    kept = Kept(
        id=state.id,
        boot=boot_id(),
        init=(state.pid, start_time(state.pid)),
        bundle=state.bundle,
        rootfs=wanted.rootfs,
        created=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        groups=cgroup.groups,
        namespaces=_to_join(wanted),
        users=wanted.config.linux.users,
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
