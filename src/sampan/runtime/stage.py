"""What a program of the host's is shown of a container that it makes: a network namespace, and a root and binds in a mount
namespace of their own.

Loaded by the restorer and the driver of other runtimes, which are executed for one start; never by the launcher.
"""

from __future__ import annotations

import os
import stat

from sampan.kernel.mount import MS, mount, move_mount
from sampan.kernel.namespaces import Clone, setns, unshare
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import attach
from sampan.runtime import world
from sampan.runtime.init import STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sampan.runtime.builder import Build


def new_network(body: dict[str, Any]) -> int:
    """A network namespace with the container's interfaces, addresses and parameters, as a descriptor; the host's for the host's."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if not int(body["flags"]) & Clone.NEWNET:
        return here
    context = world.Context()
    context.bare_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with Netlink(NETLINK_ROUTE) as host:
        unshare(Clone.NEWNET)
        try:
            for plan in (body["link"], *body["more_links"]):
                if plan:
                    attach.create_link(plan, os.getpid(), host)
            for name, *operands in body["aside"]["network"]:
                STEPS[name][1](context, *operands)
            made = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            setns(here, Clone.NEWNET)
            os.close(here)
            os.close(context.bare_proc)
    return made


def lay_out(build: Build) -> None:
    """In a mount namespace of this process and its children alone: the root and what is bound from outside, below `place`.

    The root is `root`, the binds are called by their numbers.
    """
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    place = os.fsencode(build.body["aside"]["place"])
    mount(b"sampan", place, b"tmpfs", MS.NOSUID | MS.NODEV, b"size=1m,mode=700")
    binds, build.descriptors = build.descriptors[: build.body["binds"]], build.descriptors[build.body["binds"] :]
    for name, tree in ((b"root", build.mount), *((b"%d" % number, tree) for number, tree in enumerate(binds))):
        put(place + b"/" + name, tree)
    for tree in binds:
        os.close(tree)


def put(path: bytes, tree: int) -> None:
    """Show a detached mount at `path`, which is made: of our own tmpfs, which nobody else sees."""
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        os.mkdir(path, 0o700)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    move_mount(tree, target)
    os.close(target)
