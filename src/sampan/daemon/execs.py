"""Execs in the daemon's memory: prepared, running, ended; known until their container goes or they are long over."""

import asyncio
import time
from dataclasses import dataclass, field

from sampan.errors import Conflict, NotFound
from sampan.spec import oci_runtime as oci
from sampan.spec.execs import ExecCreateRequest
from sampan.spec.ids import ContainerId, ExecId

_KEPT_SECONDS = 300
_MANY = 1000
_MOST = 10_000


@dataclass(slots=True)
class Exec:
    """One exec. `exit_code` is None until it has ended; `pid` is on the host's count."""

    id: ExecId
    container: ContainerId
    request: ExecCreateRequest
    detach_keys: bytes
    process: oci.Process
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    over_since: float = 0.0
    over: "asyncio.Future[int] | None" = None
    """where somebody waits for its end: the exit code"""
    ran: bool = False
    """its program was executed"""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """it runs, or never will"""

    @property
    def command(self) -> str:
        """The command as events show it: the program, a blank, its arguments."""
        words = self.request.cmd or ("",)
        return f"{words[0]} {' '.join(words[1:])}"


class Execs:
    """All execs of a daemon. They are not kept on disk: an exec does not outlive its container's run."""

    def __init__(self) -> None:
        self._all: dict[ExecId, Exec] = {}

    def add(self, exec_: Exec) -> None:
        """Take in a new one; those that are long over go when there are many. Raises Conflict where all are needed."""
        if len(self._all) >= _MANY:
            self._sweep()
        if len(self._all) >= _MOST:
            raise Conflict(f"{_MOST} exec instances are prepared or running: no more can be created")
        self._all[exec_.id] = exec_

    def find(self, exec_id: str) -> Exec:
        """The exec with this id. Raises NotFound."""
        found = self._all.get(ExecId(exec_id))
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    def of(self, container: ContainerId) -> tuple[ExecId, ...]:
        """Execs of a container that are prepared or running."""
        return tuple(e.id for e in self._all.values() if e.container == container and e.exit_code is None)

    def ended(self, exec_id: ExecId, code: int) -> Exec | None:
        """One has ended; returns it where it is known."""
        found = self._all.get(exec_id)
        if found is not None:
            found.running = False
            found.exit_code = code
            found.pid = 0
            found.over_since = time.monotonic()
            if found.over is not None and not found.over.done():
                found.over.set_result(code)
            found.settled.set()
        return found

    def container_ended(self, container: ContainerId) -> None:
        """No exec outlives its container; those that were never started are over too."""
        for found in self._all.values():
            if found.container == container and not found.started:
                found.over_since = time.monotonic()

    def forget(self, exec_id: ExecId) -> None:
        """Nobody will ask for it again."""
        self._all.pop(exec_id, None)

    def forget_container(self, container: ContainerId) -> None:
        """The container is removed."""
        for exec_id in [e.id for e in self._all.values() if e.container == container]:
            del self._all[exec_id]

    def _sweep(self) -> None:
        now = time.monotonic()
        for exec_ in list(self._all.values()):
            if exec_.over_since and now - exec_.over_since > _KEPT_SECONDS:
                del self._all[exec_.id]
