"""A directory as the tar that a build is sent: without what is ignored, owned by root, in one order, never whole in memory."""

from __future__ import annotations

import os
import stat

from sampan.cli.failures import Exit
from sampan.files.tar_reader import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, FILE, HARD_LINK, SYMLINK, Entry
from sampan.files.tar_writer import END, header, padding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sampan.cli.build.stamp import Described
    from sampan.dockerfile.ignore import Ignore, Verdict

_PIECE = 256 * 1024
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
}
"""Sockets are in no archive."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def pack(parts: Iterable[Described]) -> Iterator[bytes]:
    """The whole archive in pieces that are worth a write each; nothing at all of no parts."""
    held: list[bytes] = []
    size = 0
    whole = [*parts]
    if not whole:
        return
    for part in whole:
        for member in part.members():
            held.append(member)
            size += len(member)
            if size >= _PIECE:
                yield b"".join(held)
                held, size = [], 0
    yield b"".join([*held, END])


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same as gzip: a daemon sees by itself what it is sent."""
    from zlib import compressobj

    packer = compressobj(6, wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


class Document:
    """A member that is no file of the directory."""

    def __init__(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._name = os.fsencode(name)
        self._content = content
        self._mode = mode

    def members(self) -> Iterator[bytes]:
        """Its header and content."""
        yield header(Entry(self._name, FILE, len(self._content), mode=self._mode))
        yield self._content
        yield padding(len(self._content))

    def described(self) -> Iterator[tuple[bytes, int]]:
        """What tells it from others, and when it changed: never."""
        yield b"%b\0%o\0%b" % (self._name, self._mode, self._content), 0


class Directory:
    """The members of a directory. `kept`: paths that are there whatever `ignore` says. `prefix` goes before each name."""

    def __init__(self, root: str, ignore: Ignore | None = None, kept: Collection[str] = (), prefix: str = "") -> None:
        self._root = root
        self._ignore = ignore
        self._kept = frozenset(kept)
        self._above_kept = frozenset(above for path in kept for above in _above(path))
        self._prefix = prefix
        self._first_names: dict[tuple[int, int], str] = {}
        self._late: dict[str, os.DirEntry[str]] = {}
        """directories that are left out unless something in them is not"""

    def members(self) -> Iterator[bytes]:
        """Headers and contents. Exit 1 for what cannot be read."""
        self._first_names.clear()
        for path, entry in self._below("", None):
            yield from self._member(path, entry)

    def described(self) -> Iterator[tuple[bytes, int]]:
        """What tells each member from others without a look into it, and when it changed last, in nanoseconds."""
        for path, entry in self._below("", None):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unreadable(entry.path, error) from error
            what = (
                status.st_mode,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
                status.st_ino,
                status.st_dev,
            )
            yield b"%b\0%d %d %d %d %d %d" % (os.fsencode(self._prefix + path), *what), status.st_ctime_ns

    def _below(self, path: str, verdict: Verdict | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        for entry in self._entries(path):
            inside = f"{path}/{entry.name}" if path else entry.name
            found = self._ignore.enter(inside, verdict) if self._ignore is not None else None
            left_out = found is not None and found[0]
            if entry.is_dir(follow_symlinks=False):
                if not left_out:
                    yield from self._missing(path)
                    yield inside, entry
                elif self._may_hold(inside):
                    self._late[inside] = entry
                else:
                    continue
                yield from self._below(inside, found)
                self._late.pop(inside, None)
            elif not left_out or inside in self._kept:
                yield from self._missing(path)
                yield inside, entry

    def _may_hold(self, path: str) -> bool:
        """Whether something below a directory that is left out may be in the archive all the same."""
        return path in self._above_kept or (self._ignore is not None and self._ignore.may_keep_below(path))

    def _missing(self, path: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """The directories on the way that were left out until now."""
        if not self._late:
            return
        for above in (*_above(path), path):
            entry = self._late.pop(above, None)
            if entry is not None:
                yield above, entry

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        directory = os.path.join(self._root, path) if path else self._root
        try:
            with os.scandir(directory) as entries:
                return sorted(entries, key=_name)
        except OSError as error:
            raise _unreadable(directory, error) from error

    def _member(self, path: str, entry: os.DirEntry[str]) -> Iterator[bytes]:
        try:
            status = entry.stat(follow_symlinks=False)
            kind = _KINDS.get(stat.S_IFMT(status.st_mode))
            if kind == FILE:
                yield from self._file(path, entry.path, status)
            elif kind is not None:
                yield header(self._other(path, entry.path, kind, status))
        except FileNotFoundError:
            return  # gone since it was listed
        except OSError as error:
            raise _unreadable(entry.path, error) from error

    def _file(self, path: str, source: str, status: os.stat_result) -> Iterator[bytes]:
        member = self._entry(path, FILE, status)
        if member.kind == HARD_LINK:
            yield header(member)
            return
        descriptor = os.open(source, _OPEN)
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode):
                return  # swapped since it was listed
            member.size = left = opened.st_size
            member.xattrs = _xattrs(descriptor)
            yield header(member)
            while left > 0 and (data := os.read(descriptor, min(left, _PIECE))):
                left -= len(data)
                yield data
            # What a writer adds meanwhile does not show; what it cuts is zeros.
            while left > 0:
                yield bytes(min(left, _PIECE))
                left -= min(left, _PIECE)
            yield padding(member.size)
        finally:
            os.close(descriptor)

    def _other(self, path: str, source: str, kind: bytes, status: os.stat_result) -> Entry:
        member = self._entry(path, kind, status)
        if member.kind == SYMLINK:
            member.link = os.fsencode(os.readlink(source))
        elif member.kind in (CHARACTER, BLOCK_DEVICE):
            member.major, member.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        return member

    def _entry(self, path: str, kind: bytes, status: os.stat_result) -> Entry:
        """The member without a size; a further name of an inode becomes a link to the first."""
        member = Entry(os.fsencode(self._prefix + path), kind, mode=stat.S_IMODE(status.st_mode))
        member.mtime = status.st_mtime_ns
        if status.st_nlink > 1 and kind != DIRECTORY:
            first = self._first_names.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                member.kind, member.link = HARD_LINK, os.fsencode(self._prefix + first)
        return member


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _above(path: str) -> Iterator[str]:
    """The directories above `path`, the outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _xattrs(descriptor: int) -> dict[bytes, bytes]:
    """What an image keeps of a file's attributes: capabilities and users' own."""
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return {}  # a file system without any
    kept = (name for name in names if name == "security.capability" or name.startswith("user."))
    return {os.fsencode(name): os.getxattr(descriptor, name) for name in kept}


def _unreadable(path: str, error: OSError) -> Exit:
    return Exit(1, f"ERROR: cannot read the build context: {path}: {(error.strerror or str(error)).lower()}")
