"""`createContainer` hooks: programs of the host, run in the container's namespaces while it stands and before its program.

At that moment init has left the host's files behind, and whatever was executed among the container's own would be loaded by the
container's own linker, with the host's rights (CVE-2025-23266). So the hook gets a mount namespace between the two:

    the host's files, as the caller sees them
      └─ at the root file system's path: the container's whole tree, a peer of init's own

What a hook mounts below that path shows in the container, and it executes nothing but the host's. Network, ipc and uts are the
container's.
"""

import os
import sys
from collections.abc import Sequence

from sampan.errors import NotImplementedHere, SampanError, System
from sampan.kernel.mount import AT_FDCWD, MS, OpenTree, mount, move_mount, open_tree
from sampan.kernel.namespaces import Clone, setns, unshare
from sampan.oci import hooks
from sampan.oci.containers import State
from sampan.oci.documents import Hook
from sampan.spec import oci_runtime as oci

_PRIVATE = ("", "private", "rprivate")
_OTHERS = ("shared", "rshared", "slave", "rslave", "unbindable", "runbindable")
_SAID_LIMIT = 4096


def check(config: oci.Config, propagation: str) -> None:
    """Raises NotImplementedHere where the container's mounts are to be others' peers: meanwhile they are the hooks'."""
    words = {word for each in config.mounts for word in each.options if word in _OTHERS}
    if propagation not in _PRIVATE or words:
        raise NotImplementedHere("hooks.createContainer with shared or slave mounts is not implemented")


def run(asked: Sequence[Hook], state: State) -> None:
    """Run them. `state.pid` is init, which stands still. Raises System for the first that fails."""
    said = os.memfd_create("sampan-hooks")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _be(asked, state, said)
    _, status = os.waitpid(child, 0)
    try:
        if status:
            text = os.pread(said, _SAID_LIMIT, 0).decode("utf-8", "replace")
            raise System(text or f"createContainer hooks: their process ended with {status}")
    finally:
        os.close(said)


def _be(asked: Sequence[Hook], state: State, said: int) -> None:
    """The process in between. Called in a fresh child; never returns."""
    code = 1
    try:
        ours = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        names = ("mnt", "net", "ipc", "uts")
        theirs = {name: os.open(f"/proc/{state.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names}
        _stand_between(ours, theirs["mnt"], state.rootfs)
        for name, flag in (("net", Clone.NEWNET), ("ipc", Clone.NEWIPC), ("uts", Clone.NEWUTS)):
            setns(theirs[name], flag)
        try:
            hooks.run("createContainer", asked, state)
        finally:
            setns(theirs["mnt"], Clone.NEWNS)
            mount(None, b"/", None, MS.REC | MS.PRIVATE)
        code = 0
    except (OSError, SampanError) as error:
        os.write(said, str(error).encode()[:_SAID_LIMIT])
    except BaseException:  # noqa: BLE001 - the boundary of a process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _stand_between(ours: int, theirs: int, rootfs: str) -> None:
    setns(theirs, Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.SHARED)
    tree = open_tree(AT_FDCWD, b"/", OpenTree.CLONE | OpenTree.RECURSIVE)
    setns(ours, Clone.NEWNS)
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    place = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    move_mount(tree, place)
    os.close(place)
    os.close(tree)
