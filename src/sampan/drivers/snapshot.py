"""Snapshot drivers: how the files of a layer become the beginning of the next, or of a container's root.

What the driver gives is a copy that costs little, from a file system that can do that. Where things lie, what is a layer and what
is a container, and every file in it, stay Sampan's: the driver `vfs` with another way to copy. Docker's plugin protocol has
nothing like it; the calls are Sampan's own, in the same form. Entry points: `sampan.snapshot`.
"""

from pathlib import Path
from typing import Protocol

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.spec.document import Document

KIND = "SnapshotDriver"


class SnapshotDriver(Protocol):
    """Called from several threads at once, for different targets. What a method raises is told to the user as it reads."""

    def clone(self, source: Path, target: Path) -> None:
        """Make `target`, which is not there, a copy of the directory `source`: all files, owners, modes, times, attributes.

        Neither changes when the other does. A method that raises leaves nothing at `target`. What is made may be renamed within
        its file system, and is deleted file by file, directory by directory, when it is needed no more.
        """
        ...


class Places(Document, frozen=True):
    """What is asked: absolute paths on the host."""

    source: str = ""
    target: str = ""


def calls(driver: SnapshotDriver) -> Calls:
    """What Sampan asks of a snapshot driver, answered by `driver`."""

    def clone(asked: Places) -> Nothing:
        driver.clone(Path(asked.source), Path(asked.target))
        return Nothing()

    return {f"{KIND}.Clone": Call(Places, clone)}
