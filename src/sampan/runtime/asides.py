"""What goes to the launcher for a start or an exec: its own message, or that of criu's or another OCI runtime's driver.

The daemon's side.
"""

import os
import sys
from collections.abc import Iterable

from sampan.files.remove import remove_tree
from sampan.runtime import aside_plan, plan
from sampan.runtime.checkpoints import Checkpoints
from sampan.runtime.messages import Kind
from sampan.runtime.neighbours import joined_by_exec
from sampan.runtime.plan import Json
from sampan.runtime.request import ExecRequest, OtherRuntime, StartRequest
from sampan.runtime.start_failure import StartFailed, StartFault

_STATE = "oci"
_Prepared = tuple[Kind, Json, list[int]]
"""A message, and the descriptors that come before those of a START or EXEC, the caller's to close."""


class Asides:
    """Checkpoints and other runtimes of one exec-root. `environment` is all that their programs get."""

    def __init__(self, exec_root: str, environment: dict[str, str]) -> None:
        self._exec_root = exec_root
        python = os.path.realpath(sys.executable)
        self._means = aside_plan.Means(python, aside_plan.source(), environment, f"{exec_root}/aside")
        self.checkpoints = Checkpoints(environment)

    async def start(self, request: StartRequest, directory: str) -> _Prepared:
        """START, or what goes in its place. Raises StartFailed."""
        if request.restore is None and request.runtime is None:
            return Kind.START, plan.start(request, directory, net=self._exec_root), []
        if request.restore is not None:
            os.makedirs(self._means.place, 0o700, exist_ok=True)
            body = await self.checkpoints.restore_body(request, directory, self._means)
            return Kind.RESTORE, body, [os.dup(request.restore.images), _host_mounts()]
        assert request.runtime is not None
        body, opened = self._start_by(request, request.runtime, directory)
        return Kind.START_BY, body, opened

    def _start_by(self, request: StartRequest, runtime: OtherRuntime, directory: str) -> tuple[Json, list[int]]:
        if not request.cgroup.groups:
            raise StartFailed(StartFault.RUNTIME, f"{runtime.name}: this host has no control groups for it")
        opened = self._open(runtime)
        below = path_below(next(iter(request.cgroup.groups.values())))
        return aside_plan.start(request, directory, self._means, runtime, self._state(), below, self._exec_root), opened

    def execute(self, request: ExecRequest, directory: str, pid: int) -> _Prepared:
        """The same for an EXEC; `pid` is the container's."""
        if request.runtime is None:
            return Kind.EXEC, plan.execute(request, directory, joined_by_exec(pid)), []
        opened = self._open(request.runtime)
        body = aside_plan.execute(request, directory, self._means, request.runtime, self._state(), pid)
        return Kind.EXEC_BY, body, opened

    def sweep(self, live: Iterable[str]) -> None:
        """Remove what runtimes still keep of containers that do not run: their monitors were killed."""
        running = set(live)
        try:
            state = os.open(f"{self._exec_root}/{_STATE}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            for name in os.listdir(state):
                if name not in running:
                    remove_tree(state, os.fsencode(name))
        finally:
            os.close(state)

    def _state(self) -> str:
        state = f"{self._exec_root}/{_STATE}"
        os.makedirs(state, 0o700, exist_ok=True)
        # For an exec runc goes into the directory that the root was once shown at.
        os.makedirs(f"{self._means.place}/root", 0o700, exist_ok=True)
        return state

    @staticmethod
    def _open(runtime: OtherRuntime) -> list[int]:
        """Descriptors of the runtime's file and of the host's mount namespace."""
        try:
            program = os.open(runtime.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            message = f"unable to retrieve OCI runtime error: fork/exec {runtime.path}: {_words(error)}"
            raise StartFailed(StartFault.RUNTIME, message, error.errno or 0) from error
        return [program, _host_mounts()]


def _host_mounts() -> int:
    return os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def path_below(group: str) -> str:
    """The path of a control group, which need not stand yet, from the mount of its hierarchy."""
    top = os.path.dirname(group)
    while top != "/" and not os.path.ismount(top):
        top = os.path.dirname(top)
    return group.removeprefix(top.rstrip("/"))
