"""Why a start or an exec failed, in Docker's words, and the exit code that goes with it."""

import logging
import os

from sampan.errors import HOST_TROUBLE, InvalidParameter, SampanError, System, host_fault
from sampan.runtime.profile_sysctl import BadSysctl
from sampan.runtime.start_failure import StartFailed, StartFault

_log = logging.getLogger("sampan.daemon")
_CHAIN = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
_PREFIX = _CHAIN + "runc create failed: unable to start container process: "
_WRONG_KIND = (
    "Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)
_NOT_THERE = ("executable file not found", "no such file or directory", "not a directory", "Are you trying to mount")
_UNKNOWN_EXIT = 128


class BadStart(InvalidParameter):
    """The program could not be executed because of what was asked for."""


def specification_failure(error: InvalidParameter) -> System:
    """What create let pass and nothing can be started with: the container's fault and not the request's, as Docker sees it."""
    if isinstance(error, BadSysctl):
        return System(f"{_CHAIN}runc create failed: {error}: unknown")
    return System(str(error))


def translated_failure(error: Exception) -> tuple[SampanError, int]:
    """Any failed start in Docker's words, and the exit code that goes with it."""
    if isinstance(error, StartFailed):
        return translate_failure(error)
    if isinstance(error, SampanError):
        return error, _UNKNOWN_EXIT
    if not isinstance(error, OSError):
        # A fault of ours: the container must not stay as if nothing had happened, nor a client wait for its removal.
        _log.error("start failed", exc_info=error)
        return System(f"{type(error).__name__}: {error}"), _UNKNOWN_EXIT
    return System(f"failed to set up the container: {host_fault(error)}"), _UNKNOWN_EXIT


def translate_failure(error: StartFailed) -> tuple[SampanError, int]:
    """A failed start in Docker's words, and the exit code that goes with it. The command derives 126 and 127 from the text."""
    if error.fault is StartFault.BAD_USER:
        # Docker looks users up before it starts anything, so its text has no chain.
        return System(error.message), _UNKNOWN_EXIT
    if error.fault is StartFault.NETWORK:
        return System(f"failed to set up container networking: {error.message}"), _UNKNOWN_EXIT
    if error.fault is StartFault.RESTORE:
        return System(
            f"{_CHAIN.removesuffix('OCI runtime create failed: ')}OCI runtime restore failed: {error.message}: unknown"
        ), _UNKNOWN_EXIT
    if error.fault is StartFault.RUNTIME:
        return _of_other_runtime(error.message)
    message = error.message
    if error.errno in HOST_TROUBLE:
        said = os.strerror(error.errno)
        message = message.replace(said, said.lower())
    if "is a directory" in message and "permission denied" not in message:
        message += ": permission denied"
    if "not a directory" in message and "Are you trying" not in message:
        message += f": {_WRONG_KIND}"
    text = f"{_PREFIX}{message}: unknown"
    if error.fault is StartFault.NOT_EXECUTABLE or "permission denied" in message:
        return BadStart(text), 126
    if any(words in message for words in _NOT_THERE):
        return BadStart(text), 127
    return System(text), _UNKNOWN_EXIT


def _of_other_runtime(message: str) -> tuple[SampanError, int]:
    """Another runtime's own words; the codes are derived from them as Docker does, whatever their case."""
    text, lowered = f"{_CHAIN}{message}: unknown", message.lower()
    if any(words.lower() in lowered for words in _NOT_THERE):
        return BadStart(text), 127
    if "permission denied" in lowered:
        return BadStart(text), 126
    return System(text), _UNKNOWN_EXIT
