"""Starting the launcher: a sealed copy of the interpreter, in a session of its own, with one descriptor of ours.

The copy is what `/proc/PID/exe` shows of every process that enters a container until its program is executed; sealed, it
cannot be written to from inside (CVE-2019-5736). On builds whose interpreter is a stub beside a shared library the code
itself is in that library; there the launcher's read-only view of the host and its being non-dumpable are the lock.
"""

import os
import socket
import sys

import sampan
from sampan.kernel.files import ALL_SEALS, add_seals
from sampan.runtime.messages import DAEMON_DESCRIPTOR, HOST_LAYER_DESCRIPTOR

_PADDING = " " * 64
"""Room for a title: a process can show at most as many bytes as its command line had."""
_PROGRAM = "import sys; sys.path.append(sys.argv.pop()); from sampan.runtime.launcher import main; main()"
_CHUNK = 1 << 30


def sealed_interpreter() -> tuple[int, str]:
    """A descriptor of a sealed copy of this interpreter, and the real path that it is to believe it lies at."""
    path = os.path.realpath(sys.executable)
    copy = os.memfd_create("sampan-python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(path, "rb", buffering=0) as source:
            offset = 0
            while sent := os.sendfile(copy, source.fileno(), offset, _CHUNK):
                offset += sent
        add_seals(copy, ALL_SEALS)
    except BaseException:
        os.close(copy)
        raise
    return copy, path


def spawn_launcher(
    data_root: str, exec_root: str, environment: dict[str, str], host_layer: int, log_format: str
) -> tuple[int, socket.socket]:
    """Start the launcher; returns its pid and the channel to it. `environment` is all it gets.

    `host_layer` is a detached mount to be shown in its namespace (see `launcher_root`), or -1; `log_format` is
    one of `telemetry.lines`.
    """
    source = os.path.dirname(os.path.dirname(os.path.realpath(sampan.__file__)))
    copy, path = sealed_interpreter()
    arguments = [
        path,
        "-I",
        "-S",
        "-B",
        "-c",
        _PROGRAM,
        data_root,
        exec_root,
        str(int(host_layer >= 0)),
        log_format,
        _PADDING,
        source,
    ]
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.posix_spawn(
                    f"/proc/self/fd/{copy}",
                    arguments,
                    environment,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), DAEMON_DESCRIPTOR),
                        *([(os.POSIX_SPAWN_DUP2, host_layer, HOST_LAYER_DESCRIPTOR)] if host_layer >= 0 else []),
                    ],
                    setsid=True,
                )
            except OSError:
                ours.close()
                raise
        # It runs: nobody executes or opens it again, as the program /proc/self/exe of an image that has Python's libraries.
        os.fchmod(copy, 0)
    finally:
        os.close(copy)
    return pid, ours
