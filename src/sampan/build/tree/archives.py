"""ADD of an archive: unpacked into the target's tree, beside what is there, links followed inside the root only."""

import os
import stat
from dataclasses import replace

from sampan.build.tree.directory import MODE, make_directories
from sampan.build.tree.writing import Writing
from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive, TarReader
from sampan.transfer.placing import Placing

UNPACKED_LIMIT = 256 << 30
"""bytes that one archive may unpack to"""
_BUFFER = 1 << 20


def unpack_archive(top: int, status: os.stat_result, destination: bytes, writing: Writing) -> bool:
    """Unpack the file `top` (an O_PATH descriptor with that status) into the directory `destination`, made where it is missing.

    Whether it was an archive: a tar, compressed or not, with at least one entry. Owners are the archive's, or `--chown`'s;
    `--chmod` does not count, as in Docker. Raises BadArchive for one that is damaged behind its beginning, NoDirectory, OSError.
    """
    if not stat.S_ISREG(status.st_mode):
        return False
    # The same file that was looked at, whatever its name means by now.
    descriptor = os.open(f"/proc/self/fd/{top}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb", buffering=_BUFFER) as file:
        try:
            if TarReader(decompressed(file).read).next() is None:
                return False
        except BadArchive:
            return False
        file.seek(0)
        # `--chmod` does not count here either.
        base = make_directories(writing.root, destination, replace(writing.manner.making, mode=MODE))
        writing.touch(base)
        unpacking = _Unpacking(writing.root, base, UNPACKED_LIMIT, writing.manner.owner, keep_kinds=False)
        unpacking.epoch = writing.manner.epoch
        unpacking.run(TarReader(decompressed(file).read))
    return True


class _Unpacking(Placing):
    __slots__ = ("epoch",)

    epoch: int | None

    def _apply(self, entry: tar.Entry, reader: TarReader) -> None:
        if self.epoch is not None:
            entry.mtime = min(entry.mtime, self.epoch)
        if entry.kind not in (tar.FILE, tar.DIRECTORY):
            # Only what can be opened has attributes that mean something; by name they would take the whole process's directory.
            entry.xattrs = {}
        super()._apply(entry, reader)
