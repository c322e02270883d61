"""Directories of checkpoints: made, found, listed and removed by descriptors, so that what lies in them leads nowhere else.

    <data root>/containers/<id>/checkpoints/<name>/     criu's images, their log, sampan.json
                                            .<random>/  one in the making: locked by those who make it

A directory that a request names (`--checkpoint-dir`) holds checkpoints in the same way. Messages are Docker's.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sampan.errors import InvalidParameter, System, host_words
from sampan.files.remove import remove_tree

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_ALLOWED = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_LONGEST = 255
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW = _DIRECTORY | os.O_NOFOLLOW


def check_name(name: str) -> None:
    """Refuse what could lead out of the directory, or be taken for one in the making. Raises System, as Docker does."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise System(f"Invalid checkpoint ID ({name}), only {_ALLOWED} are allowed")


class CheckpointDirectory:
    """The checkpoints of one container. `chosen` is the directory that a request names, "" for the container's own.

    `reference` is what the client calls the container.
    """

    def __init__(self, own: str, chosen: str, reference: str) -> None:
        if (chosen and not os.path.isabs(chosen)) or "\0" in chosen:
            raise InvalidParameter(f"the checkpoint directory {chosen!r} is invalid, it needs to be an absolute path")
        self._path = chosen or own
        self._own = not chosen
        self._reference = reference

    @contextmanager
    def staged(self, name: str) -> "Iterator[Staging]":
        """A new empty directory that is to become the checkpoint `name`; what is left of it goes at the end. Raises System."""
        parent = -1
        try:
            parent = self._opened(make=True)
            if self._exists(parent, name):
                raise System(
                    f"cannot checkpoint container {self._reference}: "
                    f"checkpoint with name {name} already exists for container {self._reference}"
                )
            _sweep(parent)
            staging = f".{os.urandom(12).hex()}"
            os.mkdir(staging, 0o700, dir_fd=parent)
            try:
                images = os.open(staging, _BELOW, dir_fd=parent)
                try:
                    # Shared with the process that fills it: as long as either lives, nobody takes it for a leftover.
                    fcntl.flock(images, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield Staging(images, parent, staging)
                finally:
                    os.close(images)
            finally:
                remove_tree(parent, staging.encode())
        except OSError as error:
            raise System(f"cannot checkpoint container {self._reference}: {host_words(error)}: {self._path}") from error
        finally:
            if parent >= 0:
                os.close(parent)

    def names(self) -> list[str]:
        """The names of all that are whole, in order. Raises System where there is no such directory."""
        try:
            parent = self._opened(make=self._own)
        except FileNotFoundError as error:
            raise self._missing("") from error
        except NotADirectoryError as error:
            raise System(f"{self._path} exists and is not a directory") from error
        except OSError as error:
            raise System(f"{self._path}: {host_words(error)}") from error
        try:
            with os.scandir(parent) as entries:
                return sorted(
                    entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."
                )
        finally:
            os.close(parent)

    def remove(self, name: str) -> None:
        """Remove one. Raises System where it is not there."""
        with self._parent_of(name) as parent:
            try:
                remove_tree(parent, name.encode())
            except OSError as error:
                raise System(f"cannot remove checkpoint {name}: {host_words(error)}") from error

    def images(self, name: str) -> int:
        """A descriptor of one whose entries are all regular files; the caller closes it. Raises System."""
        with self._parent_of(name) as parent:
            images = os.open(name, _BELOW, dir_fd=parent)
        try:
            with os.scandir(images) as entries:
                strange = [entry.name for entry in entries if not entry.is_file(follow_symlinks=False)]
            if strange:
                # criu opens its images by name and would follow a link out of here.
                raise System(f"checkpoint {name} is damaged: {strange[0]} in it is no regular file")
        except BaseException:
            os.close(images)
            raise
        return images

    @contextmanager
    def _parent_of(self, name: str) -> Iterator[int]:
        check_name(name)
        try:
            parent = self._opened(make=False)
        except OSError as error:
            raise self._missing(name) from error
        try:
            if not self._exists(parent, name):
                raise self._missing(name)
            yield parent
        finally:
            os.close(parent)

    def _exists(self, parent: int, name: str) -> bool:
        try:
            os.close(os.open(name, _BELOW, dir_fd=parent))
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise System(f"{self._path}/{name} exists and is not a directory") from error
        return True

    def _missing(self, name: str) -> System:
        return System(f"checkpoint {name} does not exist for container {self._reference}")

    def _opened(self, *, make: bool) -> int:
        if make:
            os.makedirs(self._path, 0o700, exist_ok=True)
        # A path that a client names is followed as it is, like the source of a bind; the container's own leads through no link.
        return os.open(self._path, _BELOW if self._own else _DIRECTORY)


class Staging:
    """A checkpoint in the making: descriptors of its directory and of the one that holds it, and its name for now."""

    __slots__ = ("images", "name", "parent")

    def __init__(self, images: int, parent: int, name: str) -> None:
        self.images = images
        self.parent = parent
        self.name = name


def _sweep(parent: int) -> None:
    """Remove what was never finished and nobody is at any more."""
    with os.scandir(parent) as entries:
        unfinished = [entry.name for entry in entries if entry.name[0] == "." and entry.is_dir(follow_symlinks=False)]
    for name in unfinished:
        if len(name) != 25:
            continue
        try:
            left = os.open(name, _BELOW, dir_fd=parent)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(parent, name.encode())
        except BlockingIOError:
            continue
        finally:
            os.close(left)
