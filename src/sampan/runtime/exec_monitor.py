"""An exec's monitor: makes one more process in a running container, and then is its monitor.

    wait for EXEC (parked ahead of time) ──▶ clone3: outsider ──▶ joins, user, filter ──▶ clone: the program-to-be
                                             record's place          │ READY {inside}        │ waits
                                             record.json ◀───────────┘                       │
                                             GO ────────────────────────────────────────────▶│ execve
                                             STARTED at end of file, then as for a container

Nobody is moved between control groups (that waits for RCU): the outsider is born in the container's group of the v2 tree and
steps into those of v1; the program-to-be is its copy.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from sampan.cgroups import apply as cgroups
from sampan.crashpoints import crash_point
from sampan.kernel.namespaces import Clone, clone3
from sampan.kernel.process import Title
from sampan.runtime import init, record, rehearsal, users
from sampan.runtime.birth import Birth, failure
from sampan.runtime.builder import oom_score, state_of, tell_failure, unforeseen
from sampan.runtime.messages import Kind, Message, pair, receive, send
from sampan.runtime.stdio import open_streams
from sampan.runtime.steps import Journal, StepFailed
from sampan.runtime.supervise import Life, supervise
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Exec:
    """What is in hand while the process is made. `body` is the EXEC message; `channel` leads to the daemon."""

    def __init__(self, message: Message, channel: socket.socket, title: Title) -> None:
        self.body = message.body
        self.container, *self.attached = message.descriptors
        self.channel = channel
        self.title = title
        self.journal = Journal()
        self.children: list[Birth] = []
        self.life: Life | None = None


def run(message: Message, title: Title) -> int:
    """Be the monitor of an exec: of the one in `message`, or with PARK_EXEC of the one that comes over its channel."""
    channel = socket.socket(fileno=message.descriptors.pop(0))
    if message.kind is Kind.PARK_EXEC:
        title.set("sampan-exec (parked)")
        rehearsal.of_exec_monitor()
        send(channel, Kind.READY)
        claimed = receive(channel)
        if claimed is None or claimed.kind is not Kind.EXEC:
            return 0
        message = claimed
    making = _Exec(message, channel, title)
    who = str(making.body["id"])[:12]
    title.set(f"sampan-exec {who}")
    lines.speak_as(f"monitor of exec {who}", str(making.body["request_id"]))
    try:
        life = _make(making)
    except StepFailed as failed:
        _fail(making, failed)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        lines.broken(error)
        _fail(making, unforeseen(error))
        return 1
    supervise(life)
    return 0


def _make(making: _Exec) -> Life:
    run, body = making.journal.run, making.body
    life = Life(body, making.channel, making.channel, -1)
    stdio = run("runtime environment", open_streams, life.streams, body["stdio"])
    asked = body.get("users")
    if asked:
        users.give_streams(asked, stdio)
    outsider = run("isolation", _beget, making, stdio)
    for descriptor in stdio:
        os.close(descriptor)
    os.close(making.container)
    # While the other one works.
    life.listener = run("runtime environment", record.listen, str(body["directory"]))
    known = record.of_monitor(os.getpid())
    inside = _await_inside(making, life, outsider)
    crash_point("monitor-after-clone")
    run("runtime environment", _write_record, body, known, inside.pid)
    crash_point("monitor-after-record")
    if body["oom_score_adj"] is not None:
        run("control groups", oom_score, inside.pid, body["oom_score_adj"])
    if asked:
        run("control groups", users.limit, asked, inside.pid)
    inside.tell(Kind.GO)
    # The outsider has said all that it had to say.
    _reap(making.children.pop(0))
    if inside.hear() is not None:
        raise failure(None)
    body["state"] = state_of(str(body["id"]), inside, body["record"])
    body["groups"] = body["cgroup"]["groups"]
    steps = making.journal.rows() if body["explain"] else []
    send(making.channel, Kind.STARTED, {**body["state"], "steps": steps}, [inside.pidfd])
    crash_point("monitor-after-started")
    life.pidfd, life.attached = inside.pidfd, making.attached
    return life


def _beget(making: _Exec, stdio: list[int]) -> Birth:
    """The outsider: a child in the container's control groups that has joined nothing yet."""
    body = making.body
    ours, theirs = pair()
    groups = body["cgroup"]["groups"]
    birthplace, tasks = cgroups.open_birthplace(groups), cgroups.open_tasks(groups)
    pid, pidfd = clone3(Clone(0), birthplace)
    if pid == 0:
        ours.close()
        init.run_exec(theirs, (making.container, int(body["joins"])), tasks, stdio, body, making.title)
    theirs.close()
    for descriptor in (*tasks, *([birthplace] if birthplace >= 0 else [])):
        os.close(descriptor)
    making.children.append(Birth(pid, pidfd, ours))
    return making.children[0]


def _await_inside(making: _Exec, life: Life, outsider: Birth) -> Birth:
    """Wait for the process that stands in the container's pid namespace; a terminal's master comes before it."""
    while (message := outsider.hear()) is not None:
        if message.descriptors:
            life.streams.terminal = message.descriptors.pop(0)
        if "inside" in message.body:
            break
    else:
        raise failure(None)
    pid = int(message.body["inside"])
    pidfd = os.pidfd_open(pid)
    inside = Birth(pid, pidfd, outsider.channel)
    making.children.append(inside)
    if record.parent(pid) != os.getpid():
        raise StepFailed("other", "init was replaced on its way into the container")
    return inside


def _reap(child: Birth) -> None:
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
    os.close(child.pidfd)


def _write_record(body: dict[str, Any], known: dict[str, Any], pid: int) -> None:
    """The record that a later daemon finds, before the program may run."""
    body["record"] = {
        **known,
        "init": [pid, record.start_time(pid)],
        "id": body["id"],
        "container": body["container"],
        "started_ns": time.time_ns(),
        "groups": body["cgroup"]["groups"],
    }
    record.write(str(body["directory"]), body["record"])


def _fail(making: _Exec, failed: StepFailed) -> None:
    for child in making.children:
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        _reap(child)
    tell_failure(making.channel, failed, making.journal)
