"""Overlays that no namespace shows: a stack of layers to be read, or with a writable layer on top."""

import os
from collections.abc import Sequence

from sampan.kernel.mount import MountAttr, fsconfig_create, fsconfig_string, fsmount, fsopen

_STRING_LIMIT = 256
"""Bytes that one parameter of fsconfig(2) may have, its NUL included."""
READ_ONLY = MountAttr.RDONLY | MountAttr.NODEV | MountAttr.NOSUID | MountAttr.NOEXEC


def overlay(lowers: Sequence[int], upper: str = "", work: str = "", attributes: MountAttr = MountAttr(0)) -> int:  # noqa: B008
    """A detached mount of the union of the directories `lowers`, the topmost first; written to `upper` where that is given.

    One owner for each upper directory: the caller sees to it that nobody else has it mounted. Raises OSError.
    """
    names = [b"/proc/self/fd/%d" % lower for lower in lowers]
    context = fsopen(b"overlay")
    try:
        joined = b":".join(names)
        if len(joined) < _STRING_LIMIT:
            fsconfig_string(context, b"lowerdir", joined)
        else:
            # One at a time, since Linux 6.5; older kernels take some fifteen layers here.
            for name in names:
                fsconfig_string(context, b"lowerdir+", name)
        if upper:
            fsconfig_string(context, b"upperdir", os.fsencode(upper))
            fsconfig_string(context, b"workdir", os.fsencode(work))
            # As a start mounts it: the upper directory holds whole files under their own names.
            for feature in (b"index", b"redirect_dir", b"metacopy"):
                fsconfig_string(context, feature, b"off")
        fsconfig_create(context)
        return fsmount(context, attributes)
    finally:
        os.close(context)
