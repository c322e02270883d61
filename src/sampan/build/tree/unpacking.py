"""What is needed of a context, made on the disk out of its archive: directories and links at once, each file when it is wanted."""

import os
import stat
import threading
from collections.abc import Iterable, Sequence

from sampan.build.tree.index import Index, Node, below, tops
from sampan.build.tree.selection import parse_path
from sampan.files import tar_reader as tar
from sampan.kernel.files import Resolve, openat2
from sampan.snapshots.inodes import moment_of, set_xattrs

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS
_SPECIAL = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


class Unpacking:
    """The tree of one context, in a directory that nobody else writes to. Any thread may use it."""

    def __init__(self, index: Index, spool: int, directory: int) -> None:
        """`directory` is empty; both descriptors stay the caller's."""
        self._index = index
        self._spool = spool
        self._directory = directory
        self._lock = threading.Lock()
        self._begun = False

    def want(self, paths: Sequence[str], excludes: Sequence[str], parents: bool) -> None:
        """Make sure that all files which the paths select are there. What is missing is nobody's fault here. Raises OSError."""
        with self._lock:
            if not self._begun:
                self._make_tree()
                self._begun = True
            nodes = {id(node) for path in paths for node in self._selected(path, excludes, parents)}
            if nodes:
                self._make_files(nodes)

    def _selected(self, path: str, excludes: Sequence[str], parents: bool) -> Iterable[Node]:
        wanted = parse_path(path, excludes, parents)
        try:
            found = tops(self._index, wanted)
        except (FileNotFoundError, NotADirectoryError):
            return
        for _, top in found:
            if top.children is None:
                yield top
                continue
            for entry in below(top, wanted):
                if entry.item.kind == tar.FILE and not entry.item.made:
                    yield entry.item

    def _make_tree(self) -> None:
        pending = [(b"", self._index.root)]
        while pending:
            path, node = pending.pop()
            here = self._open(path)
            try:
                for name, child in (node.children or {}).items():
                    inside = path + b"/" + name if path else name
                    if child.children is not None:
                        os.mkdir(name, 0o700, dir_fd=here)
                        pending.append((inside, child))
                    elif child.kind != tar.FILE:
                        self._make_special(here, name, inside, child)
                _describe_directory(here, path, node)
            finally:
                os.close(here)

    def _make_special(self, here: int, name: bytes, path: bytes, node: Node) -> None:
        if node.made:
            os.link(node.made, name, src_dir_fd=self._directory, dst_dir_fd=here, follow_symlinks=False)
            return
        if node.kind == tar.SYMLINK:
            os.symlink(node.link, name, dir_fd=here)
        else:
            os.mknod(name, _SPECIAL[node.kind] | 0o600, node.rdev, dir_fd=here)
            # The node was made a moment ago in a tree that nobody else writes to: it is no link.
            os.chmod(name, node.mode, dir_fd=here)
        moment = moment_of(node.mtime)
        os.utime(name, ns=(moment, moment), dir_fd=here, follow_symlinks=False)
        node.made = path

    def _make_files(self, wanted: set[int]) -> None:
        """All places of the wanted files, hard links among them."""
        pending = [(b"", self._index.root)]
        while pending:
            path, node = pending.pop()
            prefix = path + b"/" if path else b""
            children = node.children or {}
            files = [(name, child) for name, child in children.items() if id(child) in wanted]
            pending += [(prefix + name, child) for name, child in children.items() if child.children is not None]
            if not files:
                continue
            here = self._open(path)
            try:
                for name, child in files:
                    self._make_file(here, name, prefix + name, child)
                _describe_directory(here, path, node)
            finally:
                os.close(here)

    def _make_file(self, here: int, name: bytes, path: bytes, node: Node) -> None:
        if node.made:
            if node.made != path:
                os.link(node.made, name, src_dir_fd=self._directory, dst_dir_fd=here, follow_symlinks=False)
            return
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=here)
        try:
            self._fill(descriptor, node)
            os.fchmod(descriptor, node.mode)
            if node.xattrs:
                set_xattrs(descriptor, path, node.xattrs)
            moment = moment_of(node.mtime)
            os.utime(descriptor, ns=(moment, moment))
        finally:
            os.close(descriptor)
        node.made = path

    def _fill(self, descriptor: int, node: Node) -> None:
        if node.regions is None:
            _move(self._spool, node.offset, descriptor, node.size)
            return
        os.ftruncate(descriptor, node.size)
        at = node.offset
        for offset, length in node.regions:
            os.lseek(descriptor, offset, os.SEEK_SET)
            _move(self._spool, at, descriptor, length)
            at += length

    def _open(self, path: bytes) -> int:
        return openat2(self._directory, path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, _PLAIN)


def _move(spool: int, offset: int, target: int, size: int) -> None:
    while size:
        moved = os.sendfile(target, spool, offset, size)
        if not moved:
            raise OSError("the archive of the build context has become shorter")
        offset += moved
        size -= moved


def _describe_directory(descriptor: int, path: bytes, node: Node) -> None:
    """Its time suffers from each file that is made in it."""
    os.fchmod(descriptor, node.mode)
    if node.xattrs:
        set_xattrs(descriptor, path, node.xattrs)
    moment = moment_of(node.mtime)
    os.utime(descriptor, ns=(moment, moment))
