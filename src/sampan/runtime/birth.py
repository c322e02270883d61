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
from sampan.kernel.process import Title
from sampan.runtime import init
from sampan.runtime.messages import Kind, Message, pair, receive, send
from sampan.runtime.steps import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Birth:
    """A child that carries out a plan: its pid, a descriptor of it, and the channel to it."""

    __slots__ = ("channel", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, channel: socket.socket) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel

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
    for descriptor, flag in joins:
        if flag & Clone.NEWPID:
            # Joining a pid namespace changes that of children, not of the caller: it happens here, for the child.
            setns(descriptor, Clone.NEWPID)
    group = cgroups.open_birthplace(body["cgroup"]["groups"])
    tasks = cgroups.open_tasks(body["cgroup"]["groups"])
    # The child of our parent, the monitor, which reaps it.
    pid, pidfd = clone3(Clone(int(body["flags"]) | Clone.PARENT), group)
    if pid == 0:
        ours.close()
        joins = [(descriptor, flag & ~Clone.NEWPID) for descriptor, flag in joins if flag & ~Clone.NEWPID]
        init.run(theirs, body, joins, tasks, title)
    theirs.close()
    if group >= 0:
        os.close(group)
    for descriptor in (*tasks, *(descriptor for descriptor, _ in joins)):
        os.close(descriptor)
    del descriptors[first : first + len(joins)]
    return Birth(pid, pidfd, ours)
