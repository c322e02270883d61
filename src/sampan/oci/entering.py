"""`exec`: one more process in a container that runs. This process takes the part of `runtime.exec_monitor` on that ladder."""

import os
import signal
from dataclasses import dataclass
from typing import Any

from sampan.cgroups import apply as groups
from sampan.errors import Conflict, System
from sampan.kernel.namespaces import Clone, clone3
from sampan.kernel.process import Title
from sampan.oci import agent
from sampan.oci.containers import Container, Kept
from sampan.oci.manner import Manner
from sampan.runtime import init, plan, record, users
from sampan.runtime.birth import Birth
from sampan.runtime.builder import oom_score
from sampan.runtime.messages import Kind, pair
from sampan.runtime.steps import StepFailed
from sampan.spec import oci_runtime as oci


@dataclass(frozen=True, slots=True)
class Entered:
    """A process that has been executed in the container, a child of this one; the terminal's master or -1."""

    pid: int
    pidfd: int
    terminal: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The process, and what of its container is its own, too. `preserved` are descriptors of ours that it gets."""

    process: oci.Process
    seccomp: oci.Seccomp | None
    umask: int | None
    manner: Manner
    preserved: list[int]


def enter(container: Container, wanted: Wanted, *, paused: bool = False) -> Entered:
    """Execute the process in the container. Its streams are this process's own. Raises NotFound, Conflict, System."""
    kept = container.load()
    status = container.status(kept)
    if status == "stopped":
        raise Conflict("cannot exec in a stopped container")
    if status == "paused" and not paused:
        raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
    pid, started = kept.init
    pidfd = os.pidfd_open(pid)
    children: list[Birth] = []
    try:
        if record.start_time(pid) != started:
            raise Conflict("cannot exec in a stopped container")
        return _enter(container, kept, pidfd, wanted, children)
    except StepFailed as failed:
        for child in children:
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
        raise System(f"exec failed: unable to start container process: {failed.message}") from failed
    finally:
        os.close(pidfd)


def _body(wanted: Wanted, kept: Kept) -> dict[str, Any]:
    process = wanted.process
    size = process.console_size
    inside = [["root_inside"]] if kept.users is not None else []
    terminal = [["terminal", size.height if size else 0, size.width if size else 0]] if process.terminal else []
    masked = [["umask", wanted.umask]] if wanted.umask is not None else []
    return {
        "ahead": plan.confined(process),
        "root": [*inside, *terminal],
        "enter": [*plan.program(process, wanted.seccomp, kept.users), *masked],
        "users": plan.user_members_of_exec(process, kept.users),
        "oom_score_adj": process.oom_score_adj,
        "terminal": process.terminal,
        "preserved": len(wanted.preserved),
    }


def _enter(container: Container, kept: Kept, pidfd: int, wanted: Wanted, children: list[Birth]) -> Entered:
    body = _body(wanted, kept)
    # Copies: the numbers themselves are the first that a process on its way into a container gives up.
    streams = [] if body["terminal"] else [os.dup(number) for number in (0, 1, 2)]
    if body["users"]:
        users.give_streams(body["users"], streams)
    first = _beget(kept, pidfd, body, wanted, streams)
    children.append(first)
    inside, terminal = _inside(container, kept, wanted.seccomp, first)
    children.append(inside)
    if body["oom_score_adj"] is not None:
        oom_score(inside.pid, int(str(body["oom_score_adj"])))
    if body["users"]:
        users.limit(body["users"], inside.pid)
    wanted.manner.give(inside.pid)
    inside.tell(Kind.GO)
    os.waitid(os.P_PIDFD, first.pidfd, os.WEXITED)
    os.close(first.pidfd)
    children.remove(first)
    if inside.hear() is not None:
        raise StepFailed("other", "init said what nobody asked")
    return Entered(inside.pid, inside.pidfd, terminal)


def _beget(kept: Kept, pidfd: int, body: dict[str, Any], wanted: Wanted, streams: list[int]) -> Birth:
    """The first child, which stays outside the container's pid namespace."""
    wanted.manner.inherit()
    ours, theirs = pair()
    birthplace, tasks = groups.open_birthplace(kept.groups), groups.open_tasks(kept.groups)
    pid, outsider = clone3(Clone(0), birthplace)
    if pid == 0:
        ours.close()
        handed = [*streams, *wanted.preserved]
        init.run_exec(theirs, (pidfd, kept.namespaces), tasks, handed, body, Title())
    theirs.close()
    for descriptor in (*tasks, *streams, *([birthplace] if birthplace >= 0 else [])):
        os.close(descriptor)
    return Birth(pid, outsider, ours)


def _inside(container: Container, kept: Kept, seccomp: oci.Seccomp | None, outsider: Birth) -> tuple[Birth, int]:
    terminal = -1
    while (message := outsider.hear()) is not None:
        if message.body.get("listens"):
            assert seccomp is not None
            agent.hand_over(seccomp, message.descriptors[0], container.state(kept), outsider.pid)
        elif message.descriptors:
            terminal = message.descriptors.pop(0)
        if "inside" in message.body:
            pid = int(message.body["inside"])
            return Birth(pid, os.pidfd_open(pid), outsider.channel), terminal
    raise StepFailed("other", "init ended before the program was executed")
