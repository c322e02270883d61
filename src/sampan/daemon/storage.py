"""The layers of a data root, by the driver that daemon.json names."""

from sampan.daemon.config import DaemonConfig
from sampan.errors import System
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.vfs import VfsSnapshotter


def open_layers(config: DaemonConfig) -> Snapshotter:
    """Open them; whoever calls holds the data root's lock. Raises System."""
    try:
        if config.storage_driver == "vfs":
            return VfsSnapshotter(config.data_root)
        return OverlaySnapshotter(config.data_root)
    except OSError as error:
        raise System(f"layers below {config.data_root}: {error.strerror}: {error.filename}") from error
