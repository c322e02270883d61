"""What copies are like: owner, mode and times that an instruction asks for."""

import os
import stat
from dataclasses import dataclass

from sampan.build.tree.directory import MODE, Making
from sampan.build.tree.modes import Change
from sampan.files.copying import Attributes, own_attributes


@dataclass(frozen=True, slots=True)
class Manner:
    """What copies are like. `epoch`: no time is later, in nanoseconds."""

    owner: tuple[int, int] | None = None
    """user and group of everything that is written; None: the source's, and root's for new directories on the way"""
    change: Change | None = None
    """what `--chmod` makes of a mode"""
    mode: int = MODE
    """of new directories on the way"""
    epoch: int | None = None

    def attributes(self, status: os.stat_result) -> Attributes:
        """What the copy of something with this status is like."""
        return self.applied(own_attributes(status), status.st_mode)

    def applied(self, own: Attributes, kind: int) -> Attributes:
        """What the copy of something with attributes of its `own` is like; `kind` is its st_mode."""
        uid, gid = self.owner if self.owner is not None else (own.uid, own.gid)
        mode = own.mode
        if self.change is not None and not stat.S_ISLNK(kind):
            mode = self.change(kind)
        atime, mtime = own.atime, own.mtime
        if self.epoch is not None:
            atime, mtime = min(atime, self.epoch), min(mtime, self.epoch)
        return Attributes(uid, gid, mode, atime, mtime)

    @property
    def making(self) -> Making:
        """For new directories on the way."""
        return Making(self.owner or (0, 0), self.mode, self.epoch)
