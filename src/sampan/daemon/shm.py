"""/dev/shm that more than one container sees: a tmpfs of a shareable container on the host, bound into each of them.

A private one is made inside the container and never comes here.
"""

import errno
import os
from pathlib import Path

from sampan.daemon import verify
from sampan.errors import System
from sampan.kernel.mount import (
    MNT,
    MountAttr,
    fsconfig_create,
    fsconfig_string,
    fsmount,
    fsopen,
    move_mount,
    umount2,
)
from sampan.spec.ids import ContainerId

_HOSTS = "/dev/shm"


class SharedMemory:
    """The tmpfs mounts of shareable containers, below one directory of the exec root."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def source(self, container: ContainerId, mode: str, size: int, owner: tuple[int, int] = (0, 0)) -> str:
        """What is bound to /dev/shm under an ipc mode; "" where the container has its own inside. Raises System.

        `owner` are the host's ids of the container's root.
        """
        if mode == "host":
            return _HOSTS
        if donor := verify.joins(mode):
            return str(self._directory / donor)
        if mode == "shareable":
            return self._mounted(container, size, owner)
        return ""

    def _mounted(self, container: ContainerId, size: int, owner: tuple[int, int]) -> str:
        place = self._directory / container
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            context = fsopen(b"tmpfs")
            try:
                fsconfig_string(context, b"source", b"shm")
                fsconfig_string(context, b"mode", b"1777")
                fsconfig_string(context, b"size", str(size).encode())
                for name, value in zip((b"uid", b"gid"), owner, strict=True):
                    fsconfig_string(context, name, str(value).encode())
                fsconfig_create(context)
                mount = fsmount(context, MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)
            finally:
                os.close(context)
            target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                move_mount(mount, target)
            finally:
                os.close(target)
                os.close(mount)
        except OSError as error:
            self.release(container)
            raise System(f"mounting shm tmpfs: {error}") from error
        return str(place)

    def release(self, container: ContainerId) -> None:
        """The container has ended: its memory goes when the last one that shares it has ended too."""
        place = self._directory / container
        if not place.exists():
            return
        try:
            umount2(os.fsencode(place), MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        place.rmdir()

    def sweep(self, running: set[str]) -> None:
        """Release what containers that no longer run have left behind."""
        if self._directory.is_dir():
            for place in self._directory.iterdir():
                if place.name not in running:
                    self.release(ContainerId(place.name))
