"""A context as a directory, for mounts: made out of its archive, directories and links at once, each file when it is wanted."""

import os
import threading
from collections.abc import Iterable, Sequence

from sampan.build.tree.from_archive import ArchivedFile, attributes, describe_as
from sampan.build.tree.index import Index, Node, below, tops
from sampan.build.tree.manner import Manner
from sampan.build.tree.selection import parse_path
from sampan.files import tar_reader as tar
from sampan.kernel.files import Resolve, openat2

_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS
_AS_IT_IS = Manner()


class Unpacking:
    """The tree of one context, in a directory that nobody else writes to. Any thread may use it."""

    def __init__(self, index: Index, spool: int, directory: int) -> None:
        """`directory` is empty; both descriptors stay the caller's."""
        self._index = index
        self._spool = spool
        self.directory = directory
        self._lock = threading.Lock()
        self._begun = False
        self._made: dict[int, bytes] = {}
        """where a file is, by its node: two contexts that came in one archive share nodes"""

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
        except OSError:
            return  # missing, or links in a circle
        for _, top in found:
            if top.children is None:
                yield top
                continue
            for entry in below(top, wanted):
                if entry.item.kind == tar.FILE and id(entry.item) not in self._made:
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
                        self._make(here, name, inside, child)
                describe_as(here, path, node, attributes(node, _AS_IT_IS))
            finally:
                os.close(here)

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
                    self._make(here, name, prefix + name, child)
                describe_as(here, path, node, attributes(node, _AS_IT_IS))
            finally:
                os.close(here)

    def _make(self, here: int, name: bytes, path: bytes, node: Node) -> None:
        first = self._made.get(id(node))
        if first is None:
            ArchivedFile(node, self._spool).put(here, name, _AS_IT_IS)
            self._made[id(node)] = path
        elif first != path:
            os.link(first, name, src_dir_fd=self.directory, dst_dir_fd=here, follow_symlinks=False)

    def _open(self, path: bytes) -> int:
        return openat2(self.directory, path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, _PLAIN)
