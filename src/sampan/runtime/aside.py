"""From a builder to a program of its own: what a start needs of the launcher's world is made, and another program takes over.

criu and other OCI runtimes run in the host's mount namespace, and what drives them is needed seldom. So the builder of such a
start mounts the container's overlay, enters that namespace and executes an interpreter of its own with what it has in hand: one
child of the monitor, before and after, and nothing more for the launcher to load than this.

Loaded by the launcher.
"""

from __future__ import annotations

import json
import os
import signal

from sampan.kernel.files import sealed_file
from sampan.kernel.namespaces import Clone, setns
from sampan.kernel.process import Prctl, close_all_but, prctl
from sampan.runtime.messages import Kind
from sampan.runtime.union import overlay
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, NoReturn

    from sampan.runtime.builder import Build

DRIVERS = {
    Kind.RESTORE: "sampan.runtime.restorer",
    Kind.START_BY: "sampan.runtime.oci_driver",
    Kind.EXEC_BY: "sampan.runtime.oci_driver",
}
"""The module that takes over, by the message that asks for it."""
_PROGRAM = "import sys; sys.path.append(sys.argv.pop()); from {} import main; main()"
_PADDING = " " * 64


def step_aside(build: Build, kind: Kind, monitor: socket.socket) -> NoReturn:
    """Be that program from here on. The first two descriptors of `build` are what it works with and the host's mount namespace.

    Raises OSError, StepFailed where it does not come to that.
    """
    means = build.body["aside"]
    first, host, *rest = build.descriptors
    if "root_mount" in build.body:
        build.mount = build.journal.run("union file system", overlay, build.body["root_mount"])
    channel = build.channel.fileno()
    kept = [first, host, monitor.fileno(), channel, *rest, *([build.mount] if build.mount >= 0 else [])]
    handed = {
        "first": first,
        "host": host,
        "mount": build.mount,
        "monitor": monitor.fileno(),
        "descriptors": [channel, *rest],
        "form": lines.form(),
    }
    carrier = sealed_file("sampan-aside", json.dumps({**build.body, "handed": handed}).encode())
    build.journal.run("isolation", setns, host, Clone.NEWNS)
    for descriptor in (carrier, *kept):
        os.set_inheritable(descriptor, True)
    python = str(means["python"])
    words = [python, "-I", "-S", "-B", "-c", _PROGRAM.format(DRIVERS[kind]), str(carrier), _PADDING, means["source"]]
    os.execve(python, words, means["environment"])  # noqa: S606


def call_at_end(call: dict[str, Any], host: int, program: int) -> int:
    """Have a program of the host's do what is due when a container has ended; a pidfd of it.

    `call` has its `path`, `arguments` and `environment`; it is executed by the descriptor `program` unless that is a script's, -1.
    """
    child = os.fork()
    if child:
        return os.pidfd_open(child)
    try:
        prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
        close_all_but([host, *([program] if program >= 0 else [])])
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        setns(host, Clone.NEWNS)
        for number in signal.valid_signals():
            if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not None:
                signal.signal(number, signal.SIG_DFL)
        os.execve(program if program >= 0 else call["path"], call["arguments"], call["environment"])  # noqa: S606
    finally:
        os._exit(127)
