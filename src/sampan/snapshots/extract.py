"""One layer's tar, entry by entry, into a directory: by descriptors, whatever the archive says.

Each entry is made by its parent's descriptor, found with openat2(2) inside the root, and one name; existing entries give way
as in Docker (only a directory on a directory merges). Metadata goes by descriptor, or by name without following links.
Where the archive asks for what cannot be stored exactly it is refused as a whole.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.errors import HOST_TROUBLE
from sampan.files import tar_reader as tar
from sampan.files.paths import BadPath, check_component, clean, shown, split
from sampan.files.remove import remove_tree
from sampan.files.root import SafeRoot
from sampan.files.tar_reader import BadArchive
from sampan.files.writing import write_all
from sampan.snapshots.inodes import (
    complete_file,
    is_left_out,
    judged,
    make_special,
    moment_of,
    refuse_unmapped,
    set_xattrs,
    set_xattrs_by_name,
    strip_acls,
    write_content,
    write_regions,
)
from sampan.snapshots.marks import AUFS, OPAQUE, WHITEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from sampan.snapshots.second_hand import SecondHand

    class Whiteouts(Protocol):
        """How a driver keeps in mind what a layer takes away."""

        @property
        def fresh(self) -> bool:
            """Whether the root is empty at first: no directory hands its group or default ACL on to what is made in it."""

        @property
        def private(self) -> bool:
            """Whether nobody else uses the tree meanwhile: directories then get their attributes at the end."""

        def made(self, directory: int, name: bytes) -> None:
            """The layer has brought this entry."""

        def hide(self, directory: int, name: bytes) -> None:
            """`.wh.NAME`: whatever the layers below have under this name is gone."""

        def make_opaque(self, directory: int) -> None:
            """`.wh..wh..opq`: whatever the layers below have in this directory is gone. A readable descriptor."""

        def is_whiteout(self, status: os.stat_result) -> bool:
            """Whether an entry is the driver's own mark."""


MAX_ENTRIES = 5_000_000
MAX_IMPLIED = 100_000
_RESERVE = 64 << 20
"""Bytes that unpacking leaves free on the file system."""
_CHECK_EVERY = 64 << 20
_CACHED = 64
_LARGE, _LARGEST = 1 << 15, 1 << 22
"""Contents of so many bytes are written by the second thread: less is not worth the change, more would be much to hold."""
_MAX_KEPT = 64 << 20
"""Bytes of directories' attributes that are held until the end."""
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_PLAIN_DIRECTORY = 0o755
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

_Attributes = tuple[int, int, int, int, dict[bytes, bytes]]
"""Owner, group, mode, time and extended attributes of a directory."""


class Extraction:
    """Unpacks into `root`. Of use once; after an error the directory is to be thrown away."""

    __slots__ = (
        "_bytes_left",
        "_described",
        "_directories",
        "_implied",
        "_inherits",
        "_kept",
        "_late",
        "_root",
        "_second",
        "_unchecked",
        "_whiteouts",
        "recount",
        "size",
    )

    def __init__(self, root: int, whiteouts: Whiteouts, limit: int, second: SecondHand | None = None) -> None:
        """`second` does what need not be done at once."""
        self._second = second
        self._root = SafeRoot(root)
        self._whiteouts = whiteouts
        self._directories: dict[bytes, int] = {}
        self._described: dict[bytes, _Attributes] = {}
        self._kept = 0
        self._inherits = not whiteouts.fresh
        self._late = whiteouts.private
        self._bytes_left = limit
        self._unchecked = 0
        self.size = 0
        """Bytes of files and links that the layer holds, each counted once."""
        self.recount = False
        """Entries were replaced: `size` has to be measured again."""
        self._implied: list[bytes] = []

    def implied(self) -> list[bytes]:
        """Directories that the archive implies and never describes, parents first."""
        return [path for path in self._implied if path not in self._described]

    def run(self, reader: tar.TarReader) -> None:
        """Unpack all entries. Raises BadArchive, and OSError for the host's own trouble (disk full)."""
        try:
            if self._whiteouts.fresh:
                self._own_root()
            for entry in reader:
                if reader.entries > MAX_ENTRIES:
                    raise BadArchive(f"the layer has more than {MAX_ENTRIES} entries")
                self._guarded(entry, reader)
            self._describe_directories()
            if self._second is not None:
                self._second.finish()
        finally:
            self._forget_directories()
            self._root.close()

    def _own_root(self) -> None:
        """Take from the root what it has of the directory that it was made in, and would hand on."""
        descriptor = os.open(b".", _READABLE, dir_fd=self._root.fd)
        try:
            strip_acls(descriptor)
        finally:
            os.close(descriptor)

    def _guarded(self, entry: tar.Entry, reader: tar.TarReader) -> None:
        try:
            self._apply(entry, reader)
        except BadPath as error:
            raise BadArchive(str(error)) from error
        except OSError as error:
            raise judged(entry, error) from error
        except RecursionError as error:
            raise BadArchive(f"{shown(entry.name)} is nested too deeply") from error

    def _apply(self, entry: tar.Entry, reader: tar.TarReader) -> None:
        path = clean(entry.name)
        if not path:
            if entry.kind != tar.DIRECTORY:
                raise BadArchive("the root of the layer is no directory")
            self._describe(entry, path)
            return
        if b".wh." in path and self._is_mark(path):
            return
        self._make(entry, reader, path)

    def _make(self, entry: tar.Entry, reader: tar.TarReader, path: bytes) -> None:
        """What the entry describes, at `path`, which `clean` made and which is not the root."""
        parent, name = split(path)
        directory = self._directory(parent)
        if entry.kind == tar.FILE:
            self._file(entry, reader, directory, name)
        elif entry.kind == tar.DIRECTORY:
            self._make_directory(entry, directory, name, path)
        elif entry.kind == tar.HARD_LINK:
            self._hard_link(entry, directory, name, path)
        else:
            self._special(entry, directory, name)
        self._whiteouts.made(directory, name)

    def _is_mark(self, path: bytes) -> bool:
        """Whether the entry was a whiteout, which is then done, or one of aufs' own files, which are passed over."""
        parts = path.split(b"/")
        parent, name = split(path)
        if any(part.startswith(AUFS) for part in parts[:-1]):
            return True
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            raise BadArchive(f"{shown(path)} lies in a directory with the name of a whiteout")
        if name == OPAQUE:
            descriptor = os.open(b".", _READABLE, dir_fd=self._directory(parent))
            try:
                self._whiteouts.make_opaque(descriptor)
            finally:
                os.close(descriptor)
            return True
        if name.startswith(AUFS):
            return True
        if name.startswith(WHITEOUT):
            hidden = check_component(name[len(WHITEOUT) :])
            self._hide(self._directory(parent), hidden)
            return True
        return False

    def _hide(self, directory: int, name: bytes) -> None:
        self._whiteouts.hide(directory, name)
        # What lay there may have been a directory on the way to a cached one.
        self._forget_directories()

    def _file(self, entry: tar.Entry, reader: tar.TarReader, directory: int, name: bytes) -> None:
        self._charge(entry)
        # A plain mode and root's ownership are what the file is born with; calls that change nothing cost as much as others.
        special = entry.mode & 0o6000 or entry.uid or entry.gid or self._inherits
        mode = 0o600 if special else entry.mode
        try:
            descriptor = os.open(name, _NEW_FILE, mode, dir_fd=directory)
        except FileExistsError:
            self._clear(directory, name)
            descriptor = os.open(name, _NEW_FILE, mode, dir_fd=directory)
        self.size += entry.size
        if self._second is not None and entry.regions is None and _LARGE <= entry.size <= _LARGEST:
            try:
                content = reader.read(entry.size)
                self._second.take(lambda: self._completed_later(entry, descriptor, content, special))
            except BaseException:
                os.close(descriptor)
                raise
            return
        try:
            if entry.regions is None:
                write_content(reader, descriptor, entry.size)
            else:
                write_regions(reader, descriptor, entry)
            complete_file(descriptor, entry, bool(special), self._inherits and self._late)
        finally:
            os.close(descriptor)

    def _completed_later(self, entry: tar.Entry, descriptor: int, content: bytes, special: int) -> None:
        """What is left of a file, in the second thread."""
        try:
            write_all(descriptor, content)
            complete_file(descriptor, entry, bool(special), self._inherits and self._late)
        except OSError as error:
            raise judged(entry, error) from error
        finally:
            os.close(descriptor)

    def _make_directory(self, entry: tar.Entry, directory: int, name: bytes, path: bytes) -> None:
        opaque = False
        mode = _PLAIN_DIRECTORY if self._late else 0o700
        try:
            os.mkdir(name, mode, dir_fd=directory)
        except FileExistsError:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                opaque = self._whiteouts.is_whiteout(status)
                self._clear(directory, name)
                os.mkdir(name, mode, dir_fd=directory)
        if opaque:
            descriptor = os.open(name, _READABLE, dir_fd=directory)
            try:
                self._whiteouts.make_opaque(descriptor)
            finally:
                os.close(descriptor)
        self._describe(entry, path)

    def _describe(self, entry: tar.Entry, path: bytes) -> None:
        """Keep in mind what the directory is to be like when all is in it: its time suffers from what is made in it, and its
        default ACL and set-group-ID bit would tell on that. In a tree that others use all but the time is set at once."""
        self._kept += sum(map(len, entry.xattrs.values()))
        if self._kept > _MAX_KEPT:
            raise BadArchive(f"the directories of the layer have more than {_MAX_KEPT} bytes of attributes")
        self._described[path] = (entry.uid, entry.gid, entry.mode, moment_of(entry.mtime), entry.xattrs)
        if not self._late:
            self._with_directory(path, self._set_attributes)

    def _hard_link(self, entry: tar.Entry, directory: int, name: bytes, path: bytes) -> None:
        target = clean(entry.link)
        if not target or target == path:
            raise BadArchive(f"{shown(path)} is a hard link to itself or to the root")
        target_parent, target_name = split(target)
        source = self._root.open(target_parent, os.O_PATH | os.O_DIRECTORY)
        try:
            status = os.stat(target_name, dir_fd=source, follow_symlinks=False)
            if self._whiteouts.is_whiteout(status):
                raise BadArchive(f"{shown(path)} is a hard link to {shown(target)}, which the layer removes")
            try:
                os.link(target_name, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                self._clear(directory, name)
                os.link(target_name, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(source)

    def _special(self, entry: tar.Entry, directory: int, name: bytes) -> None:
        """A symbolic link, a device or a FIFO."""
        if entry.kind == tar.CHARACTER and entry.major == entry.minor == 0:
            raise BadArchive(f"{shown(entry.name)} is the device 0:0, which stands for a whiteout")
        if is_left_out(entry):
            return
        try:
            make_special(entry, directory, name)
        except FileExistsError:
            self._clear(directory, name)
            make_special(entry, directory, name)
        if entry.uid or entry.gid or self._inherits:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
        if entry.kind == tar.SYMLINK:
            self.size += len(entry.link)
        else:
            # fchmodat(2) cannot refuse links before Linux 6.6; this is the node made a moment ago in a private tree.
            os.chmod(name, entry.mode, dir_fd=directory)
        if entry.xattrs:
            set_xattrs_by_name(directory, name, entry.name, entry.xattrs)
        moment = moment_of(entry.mtime)
        os.utime(name, ns=(moment, moment), dir_fd=directory, follow_symlinks=False)

    def _clear(self, directory: int, name: bytes) -> None:
        remove_tree(directory, name)
        self.recount = True
        self._forget_directories(keep=directory)

    def _charge(self, entry: tar.Entry) -> None:
        self._bytes_left -= entry.size
        size = entry.size if entry.regions is None else sum(length for _, length in entry.regions)
        if self._bytes_left < 0:
            raise BadArchive("the layer unpacks to more than its limit")
        self._unchecked += size
        if self._unchecked >= _CHECK_EVERY:
            room = os.fstatvfs(self._root.fd)
            if room.f_bavail * room.f_frsize < size + _RESERVE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._unchecked = 0

    def _directory(self, path: bytes) -> int:
        """The directory at `path`, made where it is missing. The descriptor belongs to the cache."""
        found = self._directories.get(path)
        if found is not None:
            return found
        try:
            descriptor = self._root.open(path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            parent, name = split(path)
            os.mkdir(name, _PLAIN_DIRECTORY, dir_fd=self._directory(parent))
            self._whiteouts.made(self._directory(parent), name)
            descriptor = self._root.open(path, os.O_PATH | os.O_DIRECTORY)
            self._implied.append(path)
            if len(self._implied) > MAX_IMPLIED:
                raise BadArchive("the layer leaves too many directories undescribed") from None
        if len(self._directories) >= _CACHED:
            self._forget_directories()
        self._directories[path] = descriptor
        return descriptor

    def _forget_directories(self, keep: int = -1) -> None:
        """Paths may lead elsewhere from now on. `keep` is still being worked in."""
        kept = {path: descriptor for path, descriptor in self._directories.items() if descriptor == keep}
        for descriptor in self._directories.values():
            if descriptor != keep:
                os.close(descriptor)
        self._directories = kept

    def _describe_directories(self) -> None:
        for path in self._described:
            try:
                self._with_directory(path, self._set_all if self._late else self._set_time)
            except OSError as error:
                if error.errno in HOST_TROUBLE:
                    raise
                refuse_unmapped(path, error)
                continue  # a later entry took its place

    def _with_directory(self, path: bytes, act: Callable[[int, bytes], None]) -> None:
        descriptor = self._root.open(path, _READABLE)
        try:
            act(descriptor, path)
        finally:
            os.close(descriptor)

    def _set_attributes(self, descriptor: int, path: bytes) -> None:
        uid, gid, mode, _, xattrs = self._described[path]
        # What they are born with in a fresh tree, the implied ones, too.
        if mode != _PLAIN_DIRECTORY or uid or gid or self._inherits:
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        if self._inherits and self._late:
            strip_acls(descriptor)
        if xattrs:
            set_xattrs(descriptor, path, xattrs)

    def _set_all(self, descriptor: int, path: bytes) -> None:
        self._set_attributes(descriptor, path)
        self._set_time(descriptor, path)

    def _set_time(self, descriptor: int, path: bytes) -> None:
        moment = self._described[path][3]
        os.utime(descriptor, ns=(moment, moment))
