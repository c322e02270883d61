"""The drivers that one conformance suite is run on."""

import shutil
from collections.abc import Callable
from pathlib import Path

from sampan_example_snapshot import Reflinks

from sampan.snapshots.cloning import Trees
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.serving import merging
from sampan.snapshots.subvolumes import btrfs_snapshotter
from sampan.snapshots.vfs import VfsSnapshotter


def _by_program(data_root: Path) -> Snapshotter:
    return OverlaySnapshotter(data_root, merging(shutil.which("fuse-overlayfs") or "/usr/bin/fuse-overlayfs"))


def _of_somebody_else(data_root: Path) -> Snapshotter:
    return VfsSnapshotter(data_root, "reflinks", Trees(clone=Reflinks(data_root).clone))


DRIVERS: dict[str, Callable[[Path], Snapshotter]] = {
    "overlay": OverlaySnapshotter,
    "fuse-overlayfs": _by_program,
    "vfs": VfsSnapshotter,
    "reflinks": _of_somebody_else,
    "btrfs": btrfs_snapshotter,
}
"""Name → how it is opened on a data root."""
WHOLE = ("vfs", "reflinks", "btrfs")
"""Those whose trees are directories of whatever the data root lies on."""
