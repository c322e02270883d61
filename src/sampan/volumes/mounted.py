"""Volumes that are mounts: mounted with the first use, let go of with the last, found again by the next daemon.

hold(user, name) ──▶ stage (a mount namespace) ──▶ a letter for the user's monitor, which outlives the daemon
tree(name)       ──▶ a copy of the mount, for one container
let_go(user)     ──▶ with the last user the stage is closed, and the mount is gone
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sampan.errors import System
from sampan.kernel.mount import OpenTree
from sampan.volumes import letters, stage
from sampan.volumes.local import Volume, Volumes
from sampan.volumes.options import wish


class MountFailed(System):
    """In Docker's words; without passwords."""


class MountedVolumes:
    """The mounts of one data root's volumes. Any thread may call; mounting may take as long as a server does."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._stages: dict[str, int] = {}
        self._users: dict[str, set[str]] = {}

    def hold(self, user: str, name: str) -> socket.socket:
        """Mount the volume, unless it is, and keep it for `user` until `let_go`; a letter that keeps it elsewhere.

        Raises NoSuchVolume, MountFailed, OSError.
        """
        volume = self._volumes.get(name)
        with self._lock:
            making = self._making.setdefault(name, threading.Lock())
            self._users.setdefault(name, set()).add(user)
        try:
            with making:  # a server that does not answer keeps nobody else waiting
                with self._lock:
                    found = self._stages.get(name, -1)
                if found < 0:
                    found = _mounted(volume)
                    with self._lock:
                        if not self._users.get(name):
                            os.close(found)
                            raise MountFailed(f"volume {name} was mounted for a start that was given up meanwhile")
                        self._stages[name] = found
                return letters.write(name, found)
        except BaseException:
            self._drop(name, user)
            raise

    def adopt(self, user: str, found: dict[str, int]) -> None:
        """Take over the stages, by name, that the monitor of `user` holds. The descriptors are this object's now."""
        with self._lock:
            for name, descriptor in found.items():
                self._users.setdefault(name, set()).add(user)
                if name in self._stages:
                    os.close(descriptor)
                else:
                    self._stages[name] = descriptor

    def let_go(self, user: str) -> None:
        """The user needs none of its volumes any more; nothing happens where it has none."""
        for name in [name for name, users in list(self._users.items()) if user in users]:
            self._drop(name, user)

    def _drop(self, name: str, user: str) -> None:
        with self._lock:
            users = self._users.get(name, set())
            users.discard(user)
            if users:
                return
            self._users.pop(name, None)
            descriptor = self._stages.pop(name, -1)
        if descriptor >= 0:
            os.close(descriptor)

    def tree(self, name: str, below: str, flags: OpenTree) -> int:
        """A copy of a held volume's mount, or of a part of it, that no namespace shows. Raises KeyError, OSError."""
        with self._lock:
            descriptor = os.dup(self._stages[name])
        try:
            return stage.tree(descriptor, below, flags)
        finally:
            os.close(descriptor)

    @contextmanager
    def root(self, name: str) -> Iterator[int]:
        """The volume's root directory, mounted for as long as the block runs. Raises as `hold`."""
        user = f"root-{os.urandom(6).hex()}"
        self.hold(user, name).close()
        try:
            with self._lock:
                descriptor = os.dup(self._stages[name])
            try:
                directory = stage.root(descriptor)
            finally:
                os.close(descriptor)
            try:
                yield directory
            finally:
                os.close(directory)
        finally:
            self.let_go(user)


def _mounted(volume: Volume) -> int:
    try:
        wanted = wish(volume.options, resolve)
    except OSError as error:
        raise MountFailed(f"error resolving passed in network volume address: {error}") from error
    try:
        return stage.make(wanted, volume.mountpoint)
    except OSError as error:
        flags = f", flags: {int(wanted.flags):#x}" if wanted.flags else ""
        data = f", data: {wanted.shown}" if wanted.shown else ""
        reason = os.strerror(error.errno or 0).lower()
        raise MountFailed(
            f"failed to mount local volume: mount {wanted.device}:{volume.mountpoint}{flags}{data}: {reason}"
        ) from None  # its text shows all of the data


def resolve(name: str) -> str:
    """The address of a host: an IPv4 one where it has any, as Docker's resolver prefers. Raises OSError in its words."""
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except UnicodeError:
        raise OSError(f"lookup {name}: no such host") from None  # longer than a name can be
    except socket.gaierror as error:
        unknown = error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
        reason = "no such host" if unknown else str(error.strerror).lower()
        raise OSError(f"lookup {name}: {reason}") from error
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return str(found[0][4][0])
