"""From a builder to a restorer: what a restore needs of the launcher's world is made, and another program takes over.

criu runs in the host's mount namespace, and what drives it is needed seldom. So the builder of a restore mounts the
container's overlay, enters that namespace and executes an interpreter of its own with what it has in hand: one child of
the monitor, before and after, and nothing more for the launcher to load than this.

Loaded by the launcher.
"""

from __future__ import annotations

import json
import os

from sampan.kernel.files import sealed_file
from sampan.kernel.namespaces import Clone, setns
from sampan.runtime.union import overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import NoReturn

    from sampan.runtime.builder import Build

_PROGRAM = "import sys; sys.path.append(sys.argv.pop()); from sampan.runtime.restorer import main; main()"
_PADDING = " " * 64


def become_restorer(build: Build, monitor: socket.socket) -> NoReturn:
    """Be a restorer from here on. The first two descriptors of `build` are the images and the host's mount namespace.

    Raises OSError, StepFailed where it does not come to that.
    """
    restore = build.body["restore"]
    images, host, *rest = build.descriptors
    build.mount = build.journal.run("union file system", overlay, build.body["root_mount"])
    channel = build.channel.fileno()
    handed = {"images": images, "mount": build.mount, "monitor": monitor.fileno(), "descriptors": [channel, *rest]}
    carrier = sealed_file("sampan-restore", json.dumps({**build.body, "handed": handed}).encode())
    build.journal.run("isolation", setns, host, Clone.NEWNS)
    for descriptor in (carrier, images, build.mount, monitor.fileno(), channel, *rest):
        os.set_inheritable(descriptor, True)
    python = str(restore["python"])
    words = [python, "-I", "-S", "-B", "-c", _PROGRAM, str(carrier), _PADDING, str(restore["source"])]
    os.execve(python, words, restore["environment"])  # noqa: S606
