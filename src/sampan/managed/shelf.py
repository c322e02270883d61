"""Where plugins lie: each a directory of its own, and the blobs that they came in.

<data-root>/plugins/
    content/                    blobs, to be pushed again
    <id>/rootfs-XXXX            the plugin's root file system; it may write there. An upgrade makes another
    <id>/propagated-mount       what it mounts for others, where it does
    new-XXXX/                   being filled; swept at the next start
    trash/
"""

import errno
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sampan.content.store import Content
from sampan.errors import System
from sampan.files.atomic import make_directory, sync_directory
from sampan.files.paths import BadPath
from sampan.files.root import SafeRoot
from sampan.files.trash import Trash
from sampan.kernel.mount import MNT, MS, mount, umount2
from sampan.runtime.checkpoint_plan import mount_points
from sampan.snapshots.jail import unpack
from sampan.spec.ids import Digest

_log = logging.getLogger("sampan.plugins")
_ROOTFS, _PROPAGATED, _NEW = "rootfs-", "propagated-mount", "new-"
ROOTFS_LIMIT = 64 << 30
"""Bytes of a plugin's root file system."""
_LAYERS_OF_MOUNTS = 64


class Shelf:
    """The directory. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        """Open or make it; what an interrupted pull left goes."""
        self._directory = make_directory(directory)
        self.content = Content(directory / "content")
        self._trash = Trash(directory / "trash")
        for path in directory.iterdir():
            if path.name.startswith(_NEW):
                self._trash.take(path)

    def fresh(self) -> Path:
        """A directory for a root file system that is to be filled; `keep` gives it its place, `drop` throws it away."""
        made = self._directory / f"{_NEW}{os.urandom(8).hex()}"
        made.mkdir(mode=0o755)
        made.chmod(0o755)
        return made

    def fill(self, fresh: Path, layer: Digest) -> str:
        """Unpack a blob over what the directory holds; the digest of its tar. Raises InvalidParameter, System, OSError."""
        target = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with self.content.open(layer) as blob:
                return unpack(blob, target, "applied", ROOTFS_LIMIT).diff_id
        finally:
            os.close(target)

    def keep(self, fresh: Path, identifier: str) -> str:
        """Give the filled directory its place beside a root that the plugin may have; its name. Durable once this returns."""
        home = make_directory(self._directory / identifier)
        name = f"{_ROOTFS}{os.urandom(4).hex()}"
        self.content.sync()
        os.rename(fresh, home / name)
        sync_directory(home)
        sync_directory(self._directory)
        return name

    def keep_only(self, identifier: str, root: str) -> None:
        """Throw away the plugin's roots but one. Raises OSError."""
        for path in (self._directory / identifier).iterdir():
            if path.name.startswith(_ROOTFS) and path.name != root:
                self._trash.take(path)

    def drop(self, fresh: Path) -> None:
        """Throw a directory away that `keep` has not taken."""
        self._trash.take(fresh)

    def rootfs(self, identifier: str, root: str) -> Path:
        """A plugin's root, by the name that `keep` gave it."""
        return self._directory / identifier / root

    def share(self, identifier: str, root: str, inside: str) -> Path:
        """A shared mount for what the plugin mounts, so that it reaches the host; it shows in its root at `inside`, too.

        There whoever is told a path of the plugin's finds what it means. Raises System.
        """
        place = make_directory(self._directory / identifier / _PROPAGATED, 0o755)
        name = os.fsencode(place)
        try:
            if not self._mounted(place):
                mount(name, name, None, MS.BIND | MS.REC)
                mount(None, name, None, MS.SHARED)
            if self._mounted(self.rootfs(identifier, root)):
                # From a run that ended by itself: those who use what it mounted still do.
                return place
            # Nobody has the root now; links that its last run left in it lead nowhere else.
            with SafeRoot(str(self.rootfs(identifier, root))) as below:
                target = below.make_directories(inside)
            try:
                mount(name, b"/proc/self/fd/%d" % target, None, MS.BIND | MS.REC)
            finally:
                os.close(target)
        except (OSError, BadPath) as error:
            raise System(f"error setting up propagated mount dir: {error}") from error
        return place

    def unshare(self, identifier: str) -> None:
        """Take that back, and all that is still mounted there. What is in use is let go of when its last user goes."""
        for _ in range(_LAYERS_OF_MOUNTS):
            found = self._mounted(self._directory / identifier)
            if not found:
                return
            for path in found:
                try:
                    umount2(os.fsencode(path), MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
                except OSError as error:
                    # It went with one above it, or with its peer.
                    if error.errno not in (errno.EINVAL, errno.ENOENT):
                        raise

    @staticmethod
    def _mounted(place: Path) -> list[str]:
        """What is mounted at a place and below it, the innermost first."""
        own = str(place.resolve())
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = mount_points(file.read()).values()
        return sorted({path for path in points if path == own or path.startswith(f"{own}/")}, key=len, reverse=True)

    def remove(self, identifier: str) -> None:
        """Throw a plugin's directory away. Raises OSError."""
        self.unshare(identifier)
        self._trash.take(self._directory / identifier)

    def sweep(self, known: Mapping[str, str]) -> None:
        """Throw away what belongs to no plugin, as its pull, upgrade or removal was cut off. `known` are roots by id."""
        for path in self._directory.iterdir():
            if len(path.name) != 64:
                continue
            if path.name in known:
                self.keep_only(path.name, known[path.name])
            else:
                _log.info("%s belongs to no plugin: removed", path)
                self.remove(path.name)

    def collect(self, needed: Iterable[Digest]) -> None:
        """Delete the blobs that no plugin needs. Nothing may be on its way meanwhile."""
        kept = set(needed)
        for digest in tuple(self.content.list()):
            if digest not in kept:
                self.content.delete(digest)

    def close(self) -> None:
        """End background work."""
        self._trash.close()
        self.content.close()
