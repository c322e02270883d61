"""Files in memory for one program: a secret lies on no disk, and goes when the program has ended.

EXEC-ROOT/build/ID        a tmpfs, mounted when the first file is put there; files are 0, 1, …
"""

import os
from pathlib import Path
from typing import Self

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

_SIZE = 16 << 20
"""Bytes of all files of one program."""


class MemoryFiles:
    """Those of one program. A context manager, at whose end they are gone."""

    def __init__(self, directory: Path, container: ContainerId) -> None:
        self._place = directory / container
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._count:
            release(self._place)

    def place(self) -> str:
        """A path at which nothing is yet. Raises System."""
        try:
            if not self._count:
                _mount(self._place)
        except OSError as error:
            raise System(f"memory for a build's program: {error}") from error
        self._count += 1
        return str(self._place / str(self._count - 1))

    def put(self, content: bytes, mode: int, uid: int, gid: int) -> str:
        """A new file; its path. Raises System."""
        path = self.place()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchown(descriptor, uid, gid)
                os.fchmod(descriptor, mode)
                os.write(descriptor, content)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise System(f"a file for a build's program: {error}") from error
        return path


def _mount(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True)
    context = fsopen(b"tmpfs")
    try:
        fsconfig_string(context, b"source", b"build")
        fsconfig_string(context, b"mode", b"0700")
        fsconfig_string(context, b"size", str(_SIZE).encode())
        fsconfig_create(context)
        mount = fsmount(context, MountAttr.NOSUID | MountAttr.NODEV)
    finally:
        os.close(context)
    target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        move_mount(mount, target)
    finally:
        os.close(target)
        os.close(mount)


def release(place: Path) -> None:
    """Take a program's files away. Raises OSError."""
    umount2(os.fsencode(place), MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
    place.rmdir()


def sweep(directory: Path) -> None:
    """Take away what an earlier daemon left; no program that it started runs any more."""
    if not directory.is_dir():
        return
    for place in directory.iterdir():
        try:
            umount2(os.fsencode(place), MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
        except OSError:
            pass  # it was killed before the mount
        place.rmdir()
