"""The layer that hides parts of this machine from containers of the image `host`.

It lies in a tmpfs that no directory of the machine shows: overlay refuses a lower directory inside another one, and the
other one is `/`. The launcher attaches that tmpfs in its own mount namespace at `HOST_HIDDEN`; versions that are made later
appear there by themselves. A version is never changed or removed: an overlay that stands on it would show what it hid.
"""

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Sequence

from sampan.errors import InvalidParameter, System
from sampan.files.root import SafeRoot
from sampan.host.mapped import is_mapped
from sampan.images.host_hidden import REPLACED, Hidden, Survey, survey
from sampan.kernel.files import OVERLAYFS_SUPER_MAGIC, file_system_type
from sampan.kernel.mount import OpenTree, fsconfig_create, fsconfig_string, fsmount, fsopen, open_tree
from sampan.snapshots.marks import set_opaque
from sampan.spec.rootfs import HOST_HIDDEN, HOST_ROOT

_SIZE = b"64m"
_FRESH_SECONDS = 60.0
_SETTLED_SECONDS = 1.0
_UNFIT = {
    0x4D44: "a FAT file system",
    0x2011BAB0: "an exFAT file system",
    0x482B: "an HFS+ file system",
    0x5346544E: "an NTFS file system",
    0x0187: "an automount point",
}


class HostUnfit(InvalidParameter):
    """This machine's root cannot be an image; the text says why."""


class HostLayer:
    """One daemon's view of what to hide. Any thread may call."""

    def __init__(self, private: Sequence[str] = (), root: str = "/") -> None:
        """`private`: absolute paths of the daemon's own, its data and exec root. Nothing is looked at before it is needed."""
        self._private = tuple(os.path.realpath(path) for path in private)
        self._root = root
        self._lock = threading.Lock()
        self._survey: Survey | None = None
        self._looked = 0.0
        self._made: set[str] = set()
        self._tmpfs = _new_tmpfs()
        self._given = False

    def mount(self) -> int:
        """A detached mount of the tmpfs, for a launcher to attach at `HOST_HIDDEN`. The caller closes it. Raises OSError."""
        try:
            return open_tree(self._tmpfs, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        with self._lock:
            return self._mount_itself()

    def _mount_itself(self) -> int:
        """Before Linux 6.15 what stands nowhere cannot be copied: a launcher gets the mount itself, and the next one another.

        Overlays keep the tmpfs that they stand on; what the last one had is made again in the new one.
        """
        if self._given:
            os.close(self._tmpfs)
            self._tmpfs = _new_tmpfs()
            self._made.clear()
            if self._survey is not None:
                self._current()
        self._given = True
        return os.dup(self._tmpfs)

    def directories(self) -> tuple[str, ...]:
        """The lower directories of the image, the topmost first, as the launcher sees them. Raises HostUnfit, System."""
        reason = why_unfit(self._root)
        if reason is not None:
            raise HostUnfit(f"the image host is not available on this machine: {reason}")
        with self._lock:
            name = self._current()
        return f"{HOST_HIDDEN}/{name}", HOST_ROOT

    def opened(self) -> list[int]:
        """The same directories as descriptors: this process sees them elsewhere. The caller closes them. Raises OSError, too."""
        upper, _ = self.directories()
        flags = os.O_RDONLY | os.O_DIRECTORY
        hidden = os.open(upper.removeprefix(f"{HOST_HIDDEN}/"), flags, dir_fd=self._tmpfs)
        try:
            return [hidden, os.open(self._root, flags)]
        except OSError:
            os.close(hidden)
            raise

    def hidden(self) -> tuple[Hidden, ...]:
        """What is hidden at the moment, sorted."""
        with self._lock:
            self._current()
            assert self._survey is not None
            return self._survey.hidden

    def close(self) -> None:
        """Let go of the tmpfs; it lives on where overlays stand on it."""
        if self._tmpfs >= 0:
            os.close(self._tmpfs)
            self._tmpfs = -1

    def _current(self) -> str:
        """The name of the version that fits the machine as it is, made where it is missing."""
        # A mode changed in place moves no stamp, so that an answer is not believed for ever.
        age = time.monotonic() - self._looked
        believed = age < _SETTLED_SECONDS or (age < _FRESH_SECONDS and _holds(self._survey, self._root))
        if self._survey is None or not believed:
            self._survey = survey(self._root, self._private, _mount_points() if self._root == "/" else ())
            self._looked = time.monotonic()
        listed = "\n".join(f"{entry.path}\0{entry.directory}" for entry in self._survey.hidden)
        name = hashlib.sha256(os.fsencode(listed)).hexdigest()[:16]
        if name not in self._made:
            try:
                _build(self._tmpfs, name, self._root, self._survey.hidden)
            except OSError as error:
                raise System(f"cannot prepare the image host: {error}") from error
            self._made.add(name)
        return name


def _holds(known: Survey | None, root: str) -> bool:
    return known is not None and known.holds(root)


def why_unfit(root: str = "/") -> str | None:
    """Why the root cannot be a lower directory, as far as it can be known without trying; None where nothing is known."""
    if is_mapped():
        return "a daemon without root cannot copy the mount of the root directory"
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        kind = file_system_type(descriptor)
        if kind in _UNFIT:
            return f"the root directory lies on {_UNFIT[kind]}, which overlayfs does not take as a lower layer"
        try:
            usr = os.stat("usr", dir_fd=descriptor)
        except FileNotFoundError:
            return "there is no /usr"
        if usr.st_dev != os.fstat(descriptor).st_dev:
            return "/usr is a file system of its own, and a layer is one file system"
    finally:
        os.close(descriptor)
    return None


def explain(error: OSError, root: str = "/") -> str:
    """Why mounting the image failed, for a user: what the file system's kind lets one suspect, else the error itself."""
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        if file_system_type(descriptor) == OVERLAYFS_SUPER_MAGIC:
            return f"the root directory is an overlay itself (this machine is a container), and they cannot be stacked: {error}"
    finally:
        os.close(descriptor)
    return f"the file system of the root directory cannot be a lower layer: {error}"


def _new_tmpfs() -> int:
    context = fsopen(b"tmpfs")
    try:
        for key, value in ((b"source", b"sampan-host"), (b"size", _SIZE), (b"mode", b"0755")):
            fsconfig_string(context, key, value)
        fsconfig_create(context)
        return fsmount(context)
    finally:
        os.close(context)


def _mount_points() -> list[str]:
    """Where other file systems are mounted: below them the layer would show what lies beneath."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split(b" ")[4] for line in file]
    decoded = (_unescaped(point) for point in points)
    return [point for point in decoded if point != "/"]


def _unescaped(point: bytes) -> str:
    for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        point = point.replace(code, char)
    return os.fsdecode(point)


def _build(tmpfs: int, name: str, root: str, hidden: Sequence[Hidden]) -> None:
    """Make the version beside and rename it: a version that has its name is whole."""
    temporary = f".{name}.{os.urandom(6).hex()}"
    os.mkdir(temporary, 0o755, dir_fd=tmpfs)
    made = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY, dir_fd=tmpfs)
    try:
        with SafeRoot(root) as source:
            _like(source, "", made)
            for entry in hidden:
                _hide(source, made, entry)
            for path in REPLACED:
                _replace(source, made, path)
    finally:
        os.close(made)
    os.rename(temporary, name, src_dir_fd=tmpfs, dst_dir_fd=tmpfs)


def _hide(source: SafeRoot, made: int, entry: Hidden) -> None:
    parent_path, _, name = entry.path.rpartition("/")
    parent = _parent(source, made, parent_path)
    if parent < 0:
        return
    try:
        if not entry.directory:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
            return
        os.mkdir(name, 0o755, dir_fd=parent)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
        try:
            _like(source, entry.path, descriptor)
            set_opaque(descriptor)
        finally:
            os.close(descriptor)
    finally:
        os.close(parent)


def _replace(source: SafeRoot, made: int, path: str) -> None:
    parent_path, _, name = path.rpartition("/")
    parent = _parent(source, made, parent_path)
    if parent < 0:
        return
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=parent)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
    except FileExistsError:
        pass  # hidden already, as a file that nobody may read
    finally:
        os.close(parent)


def _parent(source: SafeRoot, made: int, path: str) -> int:
    """The directory `path` of the version, its parents looking as they do on the machine. -1 where it is no directory there."""
    current = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=made)
    walked = ""
    for part in filter(None, path.split("/")):
        walked = f"{walked}/{part}".lstrip("/")
        try:
            os.mkdir(part, 0o755, dir_fd=current)
            fresh = True
        except FileExistsError:
            fresh = False
        try:
            following = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        except OSError:
            os.close(current)
            return -1  # a file is hidden at that name
        os.close(current)
        current = following
        if fresh:
            _like(source, walked, current)
    return current


def _like(source: SafeRoot, path: str, made: int) -> None:
    """Mode, owner and time of the machine's own directory."""
    try:
        original = source.open(path or ".", os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return  # it went away since it was found
    try:
        status = os.fstat(original)
    finally:
        os.close(original)
    os.fchown(made, status.st_uid, status.st_gid)
    os.fchmod(made, stat.S_IMODE(status.st_mode))
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
