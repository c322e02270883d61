"""That a start or an exec did not reach the program, and why. Loaded by each call of `sampan-oci`, so by itself."""

from __future__ import annotations

from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.runtime.request import Step


class StartFault(StrEnum):
    """Why a start failed, as far as clients tell it apart."""

    NOT_FOUND = "not-found"
    """the program does not exist: exit 127"""
    NOT_EXECUTABLE = "not-executable"
    """it exists and cannot be executed: exit 126"""
    BAD_USER = "bad-user"
    BAD_WORKDIR = "bad-workdir"
    BAD_MOUNT = "bad-mount"
    CGROUP = "cgroup"
    NETWORK = "network"
    RESTORE = "restore"
    """criu could not bring a checkpoint back to life"""
    RUNTIME = "runtime"
    """another OCI runtime could not make it; the message is that runtime's own"""
    OTHER = "other"


class StartFailed(Exception):
    """A start or exec did not reach the program; everything it had made is gone again when this is raised."""

    def __init__(self, fault: StartFault, message: str, errno: int = 0, steps: tuple[Step, ...] = ()) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.errno = errno
        self.steps = steps
