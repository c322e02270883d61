"""The layers of a data root, by the driver that daemon.json names."""

import logging
import os

from sampan.daemon.config import DaemonConfig
from sampan.errors import System
from sampan.files.remove import remove_tree
from sampan.snapshots.mounting import overlay
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.vfs import VfsSnapshotter

_log = logging.getLogger("sampan.daemon")
_PROBE = ".overlay-probe"


def _is_refused(config: DaemonConfig) -> bool:
    """Whether the kernel lets a rootless daemon mount no overlay here (before Linux 5.11, some file systems), tried."""
    if not config.rootless:
        return False
    root = os.open(config.data_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    upper, work = (str(config.data_root / _PROBE / name) for name in ("upper", "work"))
    try:
        for path in (config.data_root / _PROBE, upper, work):
            os.makedirs(path, 0o700, exist_ok=True)
        os.close(overlay([root], upper, work))
    except OSError as error:
        _log.warning("no overlay here (%s): layers are copied (storage driver vfs), slow and large", error.strerror)
        return True
    finally:
        remove_tree(root, _PROBE.encode())
        os.close(root)
    return False


def open_layers(config: DaemonConfig) -> Snapshotter:
    """Open them; whoever calls holds the data root's lock. Raises System."""
    try:
        if config.storage_driver == "vfs" or (not config.storage_driver and _is_refused(config)):
            return VfsSnapshotter(config.data_root)
        return OverlaySnapshotter(config.data_root)
    except OSError as error:
        raise System(f"layers below {config.data_root}: {error.strerror}: {error.filename}") from error
