"""ADD of an archive: unpacked into the target's tree, beside what is there, links followed inside the root only."""

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from sampan.build.tree.directory import MODE, make_directories
from sampan.build.tree.writing import Writing
from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive, TarReader
from sampan.transfer.placing import Placing

UNPACKED_LIMIT = 256 << 30
"""bytes that one archive may unpack to"""


def unpack_archive(content: Callable[[], BinaryIO | None], destination: bytes, writing: Writing) -> bool:
    """Unpack what a file holds into the directory `destination`, made where it is missing. `content` opens it, seekable.

    Whether it was an archive: a tar, compressed or not, with at least one entry. Owners are the archive's, or `--chown`'s;
    `--chmod` does not count, as in Docker. Raises BadArchive for one that is damaged behind its beginning, NoDirectory, OSError.
    """
    file = content()
    if file is None:
        return False
    with file:
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
