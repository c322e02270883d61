"""The drivers that one conformance suite is run on."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sampan_example_snapshot import Reflinks

from sampan.snapshots.cloning import Trees
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.serving import merging
from sampan.snapshots.subvolumes import btrfs_snapshotter
from sampan.snapshots.vfs import VfsSnapshotter
from tests.requires import requires


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
_NEEDS = {"fuse-overlayfs": ("fuse", "fuse-overlayfs"), "btrfs": ("btrfs", "mkfs.btrfs")}
KINDS = [pytest.param(name, marks=requires(*_NEEDS.get(name, ()))) for name in DRIVERS]
"""The names as a fixture's parameters, each with what it needs of the machine."""
WHOLE = ("vfs", "reflinks", "btrfs")
"""Those whose trees are directories of whatever the data root lies on."""
