"""The image's content into an empty new volume, by descriptors on both sides (CVE-2022-23648, CVE-2020-1726)."""

import os

from sampan.files.copying import copy_tree
from sampan.files.remove import remove_tree
from sampan.files.root import SafeRoot
from sampan.kernel.sync import syncfs

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_DATA = b"_data"
_COPY = b".copy-"


def populate(volume: int, image_root: int, path: str, in_use: bool) -> bool:
    """Fill `_data` of the directory `volume` with what the image has at `path`; whether that was done.

    Nothing happens where the volume holds anything already, or the image has no directory there. Links in `path` lead inside
    the image only, whatever they say. Raises OSError; then the volume is as empty as it was.
    """
    if not _is_empty(volume, _DATA):
        return False
    with SafeRoot(image_root) as image:
        try:
            source = image.open(path, _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return False
    temporary = _COPY + os.urandom(6).hex().encode()
    try:
        os.mkdir(temporary, 0o700, dir_fd=volume)
        try:
            made = os.open(temporary, _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)
            try:
                copy_tree(source, made)
                # Else a power cut leaves empty files under their names, in a volume that counts as populated.
                syncfs(made)
                if in_use:
                    _move_in(volume, made)
                    _sync(volume, _DATA)
                    return True
            finally:
                os.close(made)
            # One step, so that a crash leaves all of it or nothing: a populated volume is never populated again.
            os.rename(temporary, _DATA, src_dir_fd=volume, dst_dir_fd=volume)
            _sync(volume, b".")
        finally:
            remove_tree(volume, temporary)
    finally:
        os.close(source)
    return True


def has_directory(image_root: int, path: str) -> bool:
    """Whether the image has a directory at `path`: nothing need be mounted where it has none."""
    with SafeRoot(image_root) as image:
        try:
            os.close(image.open(path, os.O_PATH | os.O_DIRECTORY))
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def populate_mounted(target: int, image_root: int, path: str) -> bool:
    """`populate` for a volume that is a mount, whose root directory is `target`. A crash may leave part of it, as in Docker."""
    if not _is_empty(target, b"."):
        return False
    with SafeRoot(image_root) as image:
        try:
            source = image.open(path, _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return False
    try:
        copy_tree(source, target)
    finally:
        os.close(source)
    return True


def discard_copies(volume: int) -> None:
    """Remove what an interrupted copy left beside `_data`."""
    listed = os.open(b".", _DIRECTORY, dir_fd=volume)
    try:
        for name in os.listdir(listed):
            if os.fsencode(name).startswith(_COPY):
                remove_tree(volume, os.fsencode(name))
    finally:
        os.close(listed)


def _move_in(volume: int, made: int) -> None:
    """Entry by entry into a directory that is mounted somewhere, and so must stay the one it is."""
    target = os.open(_DATA, _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)
    try:
        status = os.fstat(made)
        for name in os.listdir(made):
            os.rename(name, name, src_dir_fd=made, dst_dir_fd=target)
        os.fchown(target, status.st_uid, status.st_gid)
        os.fchmod(target, status.st_mode & 0o7777)
    finally:
        os.close(target)


def _sync(volume: int, name: bytes) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_empty(volume: int, name: bytes) -> bool:
    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)
    try:
        with os.scandir(descriptor) as entries:
            return next(iter(entries), None) is None
    finally:
        os.close(descriptor)
