"""A mount namespace in which nothing but one volume is mounted, as its root.

The host sees nothing of it, and it lasts as long as somebody holds the descriptor: the daemon while a container uses the volume,
and each monitor whose container does (`letters`). So a volume is mounted once for all that use it, survives the daemon, and
goes with the last of them, whatever dies first.

Works in threads of its own: a mount namespace is a thread's, if that has its root and working directory to itself.
"""

import os
from collections.abc import Callable
from typing import TypeVar

from sampan.files.own_root import become_root
from sampan.files.root import SafeRoot
from sampan.kernel.mount import AT_FDCWD, MS, OpenTree, mount, open_tree
from sampan.kernel.namespaces import Clone, setns, unshare
from sampan.threads import Threads
from sampan.volumes.options import MountWish

T = TypeVar("T")
_PROPAGATIONS = (MS.PRIVATE, MS.SLAVE, MS.SHARED, MS.UNBINDABLE)
_PROPAGATION = MS.PRIVATE | MS.SLAVE | MS.SHARED | MS.UNBINDABLE
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def _apart(call: Callable[[], T]) -> T:
    """What `call` returns, from a thread that ends with it: nobody else works in the namespace that it has entered."""
    with Threads(1, thread_name_prefix="stage") as thread:
        return thread.submit(call).result()


def make(wish: MountWish, directory: str) -> int:
    """A namespace with what `wish` describes mounted, for a moment, on `directory` of the host. The caller closes it.

    Raises OSError of mount(2).
    """

    def build() -> int:
        unshare(Clone.FS | Clone.NEWNS)
        # While there is a /proc to be seen.
        stage = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fill()
        except BaseException:
            os.close(stage)
            raise
        return stage

    def fill() -> None:
        # Nothing that is done here shows on the host; what the host mounts or unmounts later does not show here.
        mount(None, b"/", None, MS.REC | MS.PRIVATE)
        _mount(wish, os.fsencode(directory))
        os.chdir(directory)
        become_root()

    return _apart(build)


def _mount(wish: MountWish, target: bytes) -> None:
    """As moby/sys does: propagation takes a call of its own, and so does a bind that is read-only."""
    data = os.fsencode(wish.data) or None
    plain = wish.flags & ~_PROPAGATION
    if MS.BIND not in plain:
        plain &= ~MS.REC
    mount(os.fsencode(wish.device), target, os.fsencode(wish.kind), plain, data)
    if MS.BIND in plain and MS.RDONLY in plain:
        mount(None, target, None, MS.BIND | MS.REMOUNT | (plain & ~MS.REC))
    for propagation in _PROPAGATIONS:
        if propagation in wish.flags:
            mount(None, target, None, propagation | (wish.flags & MS.REC))


def tree(stage: int, below: str, flags: OpenTree) -> int:
    """A detached copy of the volume's mount, or of a part of it; links in `below` lead nowhere outside. Raises OSError."""

    def copy() -> int:
        _enter(stage)
        if not below:
            return open_tree(AT_FDCWD, b"/", flags)
        with SafeRoot("/") as root:
            descriptor = root.open(below)
        try:
            return open_tree(descriptor, b"", flags | OpenTree.EMPTY_PATH)
        finally:
            os.close(descriptor)

    return _apart(copy)


def root(stage: int) -> int:
    """A descriptor of the volume's root directory, to be read and written below. Raises OSError."""

    def opened() -> int:
        _enter(stage)
        return os.open("/", _DIRECTORY)

    return _apart(opened)


def _enter(stage: int) -> None:
    unshare(Clone.FS)
    setns(stage, Clone.NEWNS)
