"""The state of a container: which there are, what leads from one to the next, and how Docker's flags show it. Pure.

          ┌───────── restart delay ────────┐
created ──▶ running ──▶ exited ──▶ (start) running
             │   ▲         │
      pause  ▼   │ unpause ▼ remove
            paused       removing ──▶ (gone), or dead where it could not be removed
"""

from enum import StrEnum

import msgspec

from sampan.errors import Conflict
from sampan.spec.containers import ExitCause


class Status(StrEnum):
    """What Docker calls a container's status."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


_NEXT: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.RUNNING, Status.EXITED, Status.REMOVING}),
    Status.RUNNING: frozenset({Status.PAUSED, Status.RESTARTING, Status.EXITED}),
    Status.PAUSED: frozenset({Status.RUNNING, Status.RESTARTING, Status.EXITED}),
    Status.RESTARTING: frozenset({Status.RUNNING, Status.EXITED, Status.RESTARTING, Status.REMOVING}),
    Status.EXITED: frozenset({Status.RUNNING, Status.RESTARTING, Status.EXITED, Status.REMOVING}),
    Status.REMOVING: frozenset({Status.DEAD}),
    Status.DEAD: frozenset({Status.REMOVING}),
}
"""Exited may follow created: a start that failed leaves its exit code. Restarting repeats when a restart fails."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A container's state as it is kept: times in nanoseconds since the epoch, 0 for never."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    restarts: int = 0
    delay: float = 0.0
    """seconds between the last exit that was followed by a restart and that restart"""
    asked_to_stop: bool = False
    """Somebody sent it a signal in this run: the policy `unless-stopped` reads this."""
    cause: ExitCause | None = None
    """why its last run ended; it stays while the next one goes on"""

    @property
    def running(self) -> bool:
        """Docker's `Running`: true while paused, and while it waits to be restarted."""
        return self.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING)

    @property
    def alive(self) -> bool:
        """There is a process."""
        return self.status in (Status.RUNNING, Status.PAUSED)

    def to(self, status: Status, **changes: float | str | bool | ExitCause) -> "State":
        """The state after a transition. Raises Conflict where none leads there; callers check first, in Docker's words."""
        if status not in _NEXT[self.status]:
            raise Conflict(f"a container that is {self.status} cannot become {status}")
        return msgspec.structs.replace(self, status=status, **changes)

    def marked(self, **changes: float | str | bool | ExitCause) -> "State":
        """The same status with other facts."""
        return msgspec.structs.replace(self, **changes)
