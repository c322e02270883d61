"""Parts of a mount that no namespace shows, before Linux 6.15: there the kernel copies only from mounts of the caller's namespace.

    thread ─ unshare ─▶ a namespace of its own ─ attach the mount ─ copy the part, and the whole once more ─▶ thread ends,
                                                                                                              namespace goes

A thread may have a mount namespace that is not its process's; nothing is ever seen in the host's, and nothing is left when the
daemon dies meanwhile.
"""

import errno
import os
import threading

from sampan.files.root import SafeRoot
from sampan.kernel.mount import MS, OpenTree, mount_setattr, move_mount, open_tree
from sampan.kernel.namespaces import Clone, unshare

_one_at_a_time = threading.Lock()


def part_of_detached(whole: int, below: str, flags: OpenTree) -> int:
    """A detached mount of the part `below` of the detached mount `whole`; the caller closes it. Links lead nowhere outside.

    `whole` stays what it was: the same descriptor, of an equal mount. Raises OSError; EINVAL where `whole` is no detached mount.
    """
    work = _Work(whole, below, flags)
    with _one_at_a_time:
        thread = threading.Thread(target=work.run, name="detached-part", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error
        thread.join()
    if work.error is not None:
        raise work.error
    return work.part


class _Work:
    def __init__(self, whole: int, below: str, flags: OpenTree) -> None:
        self._whole = whole
        self._below = below
        self._flags = flags
        self.part = -1
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            self.part = self._copied()
        except OSError as error:
            self.error = error

    def _copied(self) -> int:
        unshare(Clone.NEWNS)
        top = os.open("/", os.O_PATH | os.O_DIRECTORY)
        try:
            # First: what is attached to a shared mount would show in the host's namespace, too.
            mount_setattr(top, propagation=MS.PRIVATE, recursive=True)
            move_mount(self._whole, top)
        finally:
            os.close(top)
        attached = os.dup(self._whole)
        try:
            again = open_tree(attached, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
            try:
                # Now, for the one that was attached goes with this namespace, also where there is no such part.
                os.dup2(again, self._whole, inheritable=False)
            finally:
                os.close(again)
            return self._part_of(attached)
        finally:
            os.close(attached)

    def _part_of(self, attached: int) -> int:
        with SafeRoot(attached) as root:
            inside = root.open(self._below)
        try:
            return open_tree(inside, b"", self._flags | OpenTree.EMPTY_PATH)
        finally:
            os.close(inside)
