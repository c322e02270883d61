"""The monitor: one process for each container or exec. Holds what must live as long as it does, and records its end.

It is forked by the launcher and outlives launcher and daemon. It holds the ends of the program's pipes or terminal, the
descriptor of the overlay, bound ports and the log, and is the parent of init. The making of a container is done by a builder
that it forks; of that it hears only when everything stands (LIVE), so that it stays a small process. An exec's makes its
one process itself (`exec_monitor`): it lives no longer than a command.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from sampan.kernel.process import Prctl, Title, prctl
from sampan.runtime import aside, builder, exec_monitor
from sampan.runtime.messages import Kind, Message, pair, receive
from sampan.runtime.offspring import stand_alone
from sampan.runtime.supervise import Life, supervise
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_DELETE_SECONDS = 10.0


def main(message: Message, title: Title) -> NoReturn:
    """Be a monitor. Called in a fresh child of the launcher; never returns."""
    code = 1
    lines.speak_as("monitor")
    try:
        stand_alone(message.descriptors)
        of_exec = message.kind in (Kind.EXEC, Kind.PARK_EXEC)
        code = exec_monitor.run(message, title) if of_exec else _run(message, title)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def _run(message: Message, title: Title) -> int:
    ours, theirs = pair()
    adopts = message.kind in aside.DRIVERS
    if adopts:
        # The program is a child of criu or another runtime, and when that has ended a child of this process.
        prctl(Prctl.SET_CHILD_SUBREAPER, 1)
    own = os.getpid()
    child = os.fork()
    if child == 0:
        ours.close()
        builder.main(message, title, theirs, own)
    theirs.close()
    message.close()
    title.set("sampan-monitor (parked)" if message.kind is Kind.PARK else "sampan-monitor (making)")
    live = receive(ours)
    _, status = os.waitpid(child, 0)
    if adopts:
        prctl(Prctl.SET_CHILD_SUBREAPER, 0)
    ours.close()
    if live is not None:
        return _live(live, title)
    if os.WIFSIGNALED(status) and message.kind is not Kind.EXEC_BY:
        # It could not take back what it had made. Init dies with this process; its groups are what is left.
        builder.undo_groups(message.body["cgroup"]["groups"])
    return 1


def _live(message: Message, title: Title) -> int:
    body, rest = message.body, message.descriptors
    who = str(body["id"])[:12]
    title.set(f"sampan-monitor {who}")
    lines.speak_as(f"monitor of {who}", str(body["request_id"]))
    channel, listener = (socket.socket(fileno=rest.pop(0)) for _ in range(2))
    life = Life(body, channel, listener, rest.pop(0))
    life.mount, life.streams.terminal, life.streams.input = (
        rest.pop(0) if present else -1 for present in body["present"]
    )
    life.streams.outputs = [(rest.pop(0), int(stream)) for stream in body["streams"]]
    if body.get("helper"):
        os.waitpid(int(body["helper"]), 0)
    life.held = [rest.pop(0) for _ in range(int(body["held"]))]
    at_end = body.get("at_end")
    means = [rest.pop(0) for _ in range(2)] if at_end else []
    life.attached = rest
    supervise(life)
    if body["exec"]:
        return 0
    if at_end:
        _let_runtime_delete(at_end, *means)
    builder.undo_groups(body["groups"])
    # The last reference to the overlay: the kernel syncs the upper file system now, with nobody waiting for it.
    os.close(life.mount)
    return 0


def _let_runtime_delete(call: dict[str, Any], host: int, program: int) -> None:
    """Who made the container takes back what it keeps of it; one that does not end is killed."""
    called = aside.call_at_end(call, host, -1 if call["script"] else program)
    for descriptor in (host, program):
        os.close(descriptor)
    if not select.select([called], [], [], _DELETE_SECONDS)[0]:
        signal.pidfd_send_signal(called, signal.SIGKILL)
    os.waitid(os.P_PIDFD, called, os.WEXITED)
    os.close(called)
