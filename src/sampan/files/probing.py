"""Whether a file system takes anything at all just now, found by trying."""

import errno
import os
from pathlib import Path


def refusal(directory: Path) -> OSError | None:
    """What the kernel says to one more file in `directory`: EROFS, ENOSPC, EIO …; None where it takes one.

    statvfs(3) does not tell: an ext4 that was made read-only after an error (`emergency_ro`) still counts as writable.
    """
    try:
        # Without a name: nothing is left, whatever dies.
        os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        # Some file systems have no files without a name: that says nothing.
        return None if error.errno in (errno.EOPNOTSUPP, errno.EISDIR) else error
    return None
