"""Bounds of what a directory may hold, by project quotas, where its file system has them."""

import errno
import os
import random
from pathlib import Path

from sampan.kernel.quota import (
    get_project,
    get_project_quota,
    project_quotas_enforced,
    set_project,
    set_project_quota,
)

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FIRST, _LAST = 1 << 20, (1 << 31) - 1
"""Numbers are taken at random from here, so that several daemons, and Docker, which counts from 1, need not agree."""
_TRIES = 64


class Quotas:
    """The project quotas of one file system. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        """`directory` lies on the file system for as long as this object is used."""
        self._directory = directory

    def bound(self, directories: tuple[Path, ...], size: int) -> None:
        """Let what is made in `directories`, which are empty and belong to nobody yet, have `size` bytes together at most.

        Raises OSError.
        """
        descriptor = os.open(self._directory, _DIRECTORY)
        try:
            project = self._unused(descriptor)
            set_project_quota(descriptor, project, size)
            for directory in directories:
                opened = os.open(directory, _DIRECTORY)
                try:
                    set_project(opened, project)
                finally:
                    os.close(opened)
        finally:
            os.close(descriptor)

    def free(self, directory: Path) -> None:
        """Take the bound away before the directory is deleted: a number is not left with limits. Raises OSError."""
        descriptor = os.open(directory, _DIRECTORY)
        try:
            if project := get_project(descriptor):
                set_project_quota(descriptor, project, 0)
        finally:
            os.close(descriptor)

    def limit(self, directory: Path) -> int:
        """The bytes that a directory may hold; 0 for no bound. Raises OSError."""
        descriptor = os.open(directory, _DIRECTORY)
        try:
            project = get_project(descriptor)
            return get_project_quota(descriptor, project)[2] if project else 0
        finally:
            os.close(descriptor)

    def _unused(self, descriptor: int) -> int:
        for _ in range(_TRIES):
            project = random.randint(_FIRST, _LAST)  # noqa: S311 - nothing secret
            try:
                space, inodes, limit = get_project_quota(descriptor, project)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESRCH):
                    raise
                return project
            if not (space or inodes or limit):
                return project
        raise OSError(errno.EBUSY, "no unused quota project was found")


def open_quotas(directory: Path) -> Quotas | None:
    """The quotas of the file system of `directory`; None where it counts or enforces none."""
    try:
        descriptor = os.open(directory, _DIRECTORY)
        try:
            if not project_quotas_enforced(descriptor):
                return None
            get_project(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return None  # ENOSYS, ENOTTY, EPERM, ESRCH: this file system, kernel or user has none
    return Quotas(directory)
