"""The layers of a data root, by the driver that daemon.json names, or the best that works there."""

import logging
import os

from sampan.daemon.config import DaemonConfig
from sampan.drivers.snapshot import KIND
from sampan.errors import InvalidParameter, System, host_fault
from sampan.files.remove import remove_tree
from sampan.plugins.cloning import CloningByPlugin
from sampan.plugins.installed import Installed
from sampan.snapshots.cloning import Trees
from sampan.snapshots.mounting import OVERLAY, Merging
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.serving import merging
from sampan.snapshots.subvolumes import btrfs_snapshotter, is_on_btrfs
from sampan.snapshots.vfs import VfsSnapshotter

_log = logging.getLogger("sampan.daemon")
_PROBE = ".overlay-probe"


def open_layers(config: DaemonConfig, installed: Installed) -> Snapshotter:
    """Open them; whoever calls holds the data root's lock. `installed` may have drivers of the kind.

    Raises System, InvalidParameter for a driver that nobody has.
    """
    try:
        match config.storage_driver or _chosen(config):
            case "vfs":
                return VfsSnapshotter(config.data_root)
            case "fuse-overlayfs":
                return OverlaySnapshotter(config.data_root, _by_program())
            case "overlay":
                return OverlaySnapshotter(config.data_root)
            case "btrfs":
                return _by_subvolumes(config)
            case name if installed.has(name, KIND):
                return VfsSnapshotter(config.data_root, name, Trees(clone=CloningByPlugin(installed, name)))
            case name:
                raise InvalidParameter(
                    f'invalid storage-driver: "{name}": '
                    "it is one of overlay2, overlay, fuse-overlayfs, btrfs, vfs, or a driver that is installed"
                )
    except OSError as error:
        raise System(f"layers below {config.data_root}: {host_fault(error)}") from error


def _program() -> str:
    """Where fuse-overlayfs is; "" where it is not. Looked for only where it is needed: `shutil` loads every decompressor."""
    import shutil

    return shutil.which("fuse-overlayfs") or ""


def _by_program() -> Merging:
    program = _program()
    if not program:
        raise System(
            "storage driver fuse-overlayfs: the program fuse-overlayfs is not in PATH (apt install fuse-overlayfs)"
        )
    return merging(program)


def _by_subvolumes(config: DaemonConfig) -> Snapshotter:
    if not is_on_btrfs(config.data_root):
        raise System(
            "storage driver btrfs: prerequisites for driver not satisfied (wrong filesystem?): "
            f"{config.data_root} does not lie on btrfs"
        )
    return btrfs_snapshotter(config.data_root)


def _chosen(config: DaemonConfig) -> str:
    """The driver whose layers are there already, for another would not show them; else the kernel's overlay, and where it refuses
    (without root before Linux 5.11, on some file systems) fuse-overlayfs, on btrfs snapshots, else copies."""
    for present in ("overlay", "fuse-overlayfs", "btrfs"):
        if _has_layers(config, present):
            return present
    refused = _refusal(config, OVERLAY)
    if not refused:
        return "overlay"
    if _has_layers(config, "vfs"):
        return "vfs"
    why = "the program fuse-overlayfs is not installed"
    if _program():
        why = _refusal(config, _by_program())
        if not why:
            _log.warning("no overlay here (%s): layers are merged by fuse-overlayfs, slower", refused)
            return "fuse-overlayfs"
    if is_on_btrfs(config.data_root):
        _log.warning("no overlay here (%s; %s): layers are subvolumes (storage driver btrfs)", refused, why)
        return "btrfs"
    _log.warning("no overlay here (%s; %s): layers are copied (storage driver vfs), slow and large", refused, why)
    return "vfs"


def _has_layers(config: DaemonConfig, driver: str) -> bool:
    try:
        # One entry is the directory of short names.
        return len(os.listdir(config.data_root / "layers" / driver)) > 1
    except FileNotFoundError:
        return False


def _refusal(config: DaemonConfig, found: Merging) -> str:
    """Why no union can be mounted below the data root, tried, with a mark of a layer's; "" where it can."""
    root = os.open(config.data_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    upper, work = (str(config.data_root / _PROBE / name) for name in ("upper", "work"))
    try:
        for path in (config.data_root / _PROBE, upper, work):
            os.makedirs(path, 0o700, exist_ok=True)
        os.close(found.union([root], upper, work))
    except OSError as error:
        return str(error.strerror)
    finally:
        remove_tree(root, _PROBE.encode())
        os.close(root)
    return ""
