"""The agent that answers SCMP_ACT_NOTIFY: it gets the filter's descriptor at its socket (runtime-spec, config-linux.md, "Seccomp").

One message on a stream socket: the container process state as JSON, and one descriptor, which `fds` names.
"""

import os
import socket

import msgspec

from sampan.errors import System
from sampan.oci.containers import State
from sampan.oci.words import SPECIFICATION
from sampan.spec import oci_runtime as oci

_SECONDS = 10.0


class _ProcessState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    oci_version: str = msgspec.field(name="ociVersion")
    fds: tuple[str, ...]
    pid: int
    metadata: str = ""
    state: State


def hand_over(seccomp: oci.Seccomp, listener: int, state: State, pid: int = 0) -> None:
    """Send it, and close it here. `pid` is the process, where it is not the container's first. Raises System."""
    told = _ProcessState(
        oci_version=SPECIFICATION,
        fds=("seccompFd",),
        pid=pid or state.pid,
        metadata=seccomp.listener_metadata,
        state=state,
    )
    text = msgspec.json.encode(told)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(_SECONDS)
            agent.connect(seccomp.listener_path)
            sent = socket.send_fds(agent, [text], [listener])
            if text[sent:]:
                agent.sendall(text[sent:])
    except OSError as error:
        raise System(f"error sending seccomp state to {seccomp.listener_path}: {error}") from error
    finally:
        os.close(listener)
