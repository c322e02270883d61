"""A process's own root: what it works in becomes /, and it sees nothing else any more.

Loaded by the launcher and by jailed processes: standard library modules without typing.
"""

from __future__ import annotations

import errno
import os

from sampan.kernel.mount import MNT, MS, mount, pivot_root, umount2


def become_root() -> None:
    """The working directory, a mount of a mount namespace of this process's own, becomes /. Raises OSError."""
    try:
        # With both arguments ".", the old root lies over the new one at the same place (pivot_root(2), NOTES).
        pivot_root(b".", b".")
        umount2(b".", MNT.DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The machine's root is the initial rootfs, which cannot be pivoted away from: cover it (switch_root does so).
        _cover()
        os.chroot(b".")
    os.chdir(b"/")


def _cover() -> None:
    try:
        mount(b".", b"/", None, MS.MOVE)
    except OSError as error:
        # It lies over / already, and would lie over itself.
        if error.errno != errno.ELOOP:
            raise
