"""Bringing init into the world: the clone into new namespaces, and the overlay that becomes its root.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from sampan.cgroups import apply as cgroups
from sampan.kernel.namespaces import Clone, clone3, setns
from sampan.kernel.process import Prctl, Title, prctl
from sampan.runtime import init
from sampan.runtime.messages import Kind, Message, pair, receive, send
from sampan.runtime.steps import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class Birth:
    """A child that carries out a plan: its pid, a descriptor of it, and the channel to it."""

    __slots__ = ("channel", "helper", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, channel: socket.socket, helper: int = 0) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.helper = helper
        """another child of the same parent, which has ended or is about to; 0 for none"""

    def tell(self, kind: Kind, body: dict[str, Any] | None = None, descriptors: list[int] | None = None) -> None:
        """Send to it; if it has ended, what it said last is read where its answer is awaited."""
        try:
            send(self.channel, kind, body, descriptors)
        except (BrokenPipeError, ConnectionResetError):
            return

    def hear(self) -> Message | None:
        """Its next READY; None at the end of file that a successful execve makes. Raises StepFailed for anything else."""
        message = receive(self.channel)
        if message is None or message.kind is Kind.READY:
            return message
        raise failure(message)

    def kill(self) -> None:
        """Kill it and wait for its end; its parent reaps it."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            select.select([self.pidfd], [], [], 5)
        except ProcessLookupError:
            # It has ended and is reaped.
            return


def failure(message: Message | None) -> StepFailed:
    """What a child said, or did not say, in place of what was awaited."""
    if message is None or message.kind is not Kind.FAILED:
        return StepFailed("other", "init ended before the program was executed")
    body = message.body
    return StepFailed(str(body["fault"]), str(body["message"]), int(body["errno"]))


def beget(body: dict[str, Any], descriptors: list[int], title: Title) -> Birth:
    """A child in its new namespaces and its v2 control group, with the world's steps before it; v1's it enters by itself."""
    ours, theirs = pair()
    first = int(body["binds"])
    joins = list(zip(descriptors[first : first + len(body["joins"])], body["joins"], strict=True))
    group = cgroups.open_birthplace(body["cgroup"]["groups"])
    tasks = cgroups.open_tasks(body["cgroup"]["groups"])
    later = [(descriptor, flag & ~(Clone.NEWPID | Clone.NEWUSER)) for descriptor, flag in joins]

    def live() -> NoReturn:
        ours.close()
        init.run(theirs, body, [(descriptor, flag) for descriptor, flag in later if flag], tasks, title)

    # The child of our parent, the monitor, which reaps it.
    flags = Clone(int(body["flags"]) | Clone.PARENT)
    if any(flag & Clone.NEWUSER for _, flag in joins):
        birth = _beget_within(joins, flags, group, live, ours)
    else:
        _join_before(joins, Clone.NEWPID)
        pid, pidfd = clone3(flags, group)
        if pid == 0:
            live()
        birth = Birth(pid, pidfd, ours)
    theirs.close()
    if group >= 0:
        os.close(group)
    for descriptor in (*tasks, *(descriptor for descriptor, _ in joins)):
        os.close(descriptor)
    del descriptors[first : first + len(joins)]
    return birth


def _join_before(joins: list[tuple[int, int]], kinds: Clone) -> None:
    """Join what is a matter of a child's birth: a pid namespace becomes that of children, not of the caller."""
    for descriptor, flag in joins:
        if flag & kinds:
            setns(descriptor, Clone(flag & kinds))


def _beget_within(
    joins: list[tuple[int, int]], flags: Clone, group: int, live: Callable[[], NoReturn], channel: socket.socket
) -> Birth:
    """The child of a process that stands in another container's user namespace, to which its own namespaces then belong.

    That process is between us and init for a moment; the monitor's own child too, who reaps it.
    """
    mine, hers = pair()
    helper, pidfd = clone3(Clone.PARENT, group)
    if helper == 0:
        try:
            mine.close()
            prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
            _join_before(joins, Clone.NEWUSER)
            prctl(Prctl.SET_DUMPABLE, 0)
            _join_before(joins, Clone.NEWPID)
            pid, descriptor = clone3(flags)
            if pid == 0:
                hers.close()
                live()
            send(hers, Kind.READY, {"pid": pid}, [descriptor])
        except OSError as error:
            told = {"fault": "other", "message": f"joining a user namespace: {error}", "errno": error.errno or 0}
            send(hers, Kind.FAILED, told)
        finally:
            os._exit(0)
    os.close(pidfd)
    hers.close()
    with mine:
        message = receive(mine)
    if message is None or message.kind is not Kind.READY:
        raise failure(message)
    return Birth(int(message.body["pid"]), message.descriptors[0], channel, helper)
