"""A context's files as they arrived, in memory: names, attributes, digests, and where in the archive the content lies.

As Docker unpacks a context: what comes later replaces what came earlier, a directory on a directory merges, links on the way
are followed inside the root. Nothing is on the disk yet.
"""

import errno
import os
from collections.abc import Callable, Iterator

from sampan.build.tree.selection import Below, Wanted, chosen
from sampan.files import tar_reader as tar
from sampan.files.paths import MAX_PATH, clean, shown, split
from sampan.files.tar_reader import BadArchive, Entry
from sampan.files.tar_sparse import Regions
from sampan.snapshots.inodes import is_kept

MOST_ENTRIES = 1_000_000
MOST_TEXT = 256 << 20
"""bytes of names, link targets and extended attributes together"""
_MOST_LINKS = 40
_LONGEST_NAME = 255
_IMPLIED_MODE = 0o755


class Node:
    """One file, directory, link, device or FIFO. Hard links to one file are one node."""

    __slots__ = (
        "children",
        "digest",
        "kind",
        "length",
        "link",
        "mode",
        "mtime",
        "offset",
        "rdev",
        "regions",
        "shared",
        "size",
        "xattrs",
    )

    def __init__(self, kind: bytes, mode: int) -> None:
        self.kind = kind
        self.mode = mode
        self.mtime = 0
        self.size = 0
        self.offset = 0
        """of the content in the archive"""
        self.digest = b""
        """SHA-256 of the content; of a sparse file of its map and of what the archive holds"""
        self.length = 0
        """of a directory's real path"""
        self.link = b""
        self.rdev = 0
        self.regions: Regions | None = None
        self.xattrs: dict[bytes, bytes] | None = None
        self.children: dict[bytes, Node] | None = {} if kind == tar.DIRECTORY else None
        self.shared = False
        """it has several names"""


def node_of(entry: Entry) -> Node:
    """What an entry describes. Its owner does not count: all that is in a context is root's."""
    node = Node(entry.kind, entry.mode)
    node.mtime = entry.mtime
    node.size = entry.size
    node.link = entry.link
    node.regions = entry.regions
    if entry.xattrs:
        node.xattrs = {key: value for key, value in entry.xattrs.items() if is_kept(key)} or None
    if entry.kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
        node.rdev = os.makedev(entry.major, entry.minor)
    return node


class Index:
    """The tree. Paths are bytes, relative to the root; b"" is the root."""

    def __init__(self, root: Node | None = None) -> None:
        self.root = root or Node(tar.DIRECTORY, _IMPLIED_MODE)
        self._recent: tuple[bytes, Node] = (b"", self.root)
        self._entries = 0
        self._text = 0

    def add(self, entry: Entry) -> Node | None:
        """Take an entry in; None where it only describes what is there. Raises BadArchive and BadPath."""
        self._charge(entry)
        path = clean(entry.name)
        if not path:
            self._describe_root(entry)
            return None
        above, name = split(path)
        parent = self._directory(above)
        children = parent.children
        assert children is not None
        there = children.get(name)
        if entry.kind == tar.HARD_LINK:
            children[name] = self._linked(entry, path)
            return None
        if entry.kind == tar.SYMLINK and not 0 < len(entry.link) <= MAX_PATH:
            raise BadArchive(f"{shown(entry.name)} is a link that no file system could hold")
        node = node_of(entry)
        node.length = _below(parent, name)
        if there is not None and there.children is not None:
            if node.children is not None:
                node.children = there.children
            self._recent = (b"", self.root)
        children[name] = node
        return node

    def _charge(self, entry: Entry) -> None:
        self._entries += 1
        self._text += len(entry.name) + len(entry.link) + sum(len(key) + len(entry.xattrs[key]) for key in entry.xattrs)
        if self._entries > MOST_ENTRIES:
            raise BadArchive(f"the build context has more than {MOST_ENTRIES} entries")
        if self._text > MOST_TEXT:
            raise BadArchive(f"the names and attributes in the build context are longer than {MOST_TEXT} bytes")

    def _describe_root(self, entry: Entry) -> None:
        if entry.kind != tar.DIRECTORY:
            raise BadArchive("an entry that is no directory has the name of the root")
        self.root.mode = entry.mode
        self.root.mtime = entry.mtime

    def _directory(self, path: bytes) -> Node:
        """The directory at `path`, made where it is missing. The one before is most often the same."""
        if self._recent[0] == path:
            return self._recent[1]
        try:
            found = self.find(path, make=True)
        except OSError as error:
            raise BadArchive(f"{shown(path)} cannot be unpacked: {os.strerror(error.errno or 0)}") from error
        if found.children is None:
            raise BadArchive(f"{shown(path)} cannot be unpacked: {os.strerror(errno.ENOTDIR)}")
        self._recent = (path, found)
        return found

    def _linked(self, entry: Entry, path: bytes) -> Node:
        target = clean(entry.link)
        above, name = split(target)
        children = self._directory(above).children if target else None
        node = children.get(name) if children is not None else None
        if node is None or node.children is not None:
            raise BadArchive(
                f"{shown(path)} is a hard link to {shown(entry.link)}, which is no file of the build context"
            )
        node.shared = True
        return node

    def find(self, path: bytes, make: bool = False, follow: bool = True) -> Node:
        """What `path` leads to, links followed inside the root. Raises OSError: ENOENT, ENOTDIR, ELOOP.

        `make`: what is missing of it becomes directories. Without `follow` a link at the end is given itself.
        """
        trail = [self.root]
        pending = path.split(b"/")[::-1]
        links = 0
        while pending:
            part = pending.pop()
            here = trail[-1]
            if here.children is None:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsdecode(path))
            if part in (b"", b"."):
                continue
            if part == b"..":
                if len(trail) > 1:
                    trail.pop()
                continue
            node = here.children.get(part)
            if node is None:
                if not make:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))
                self._charge_implied(part)
                made = Node(tar.DIRECTORY, _IMPLIED_MODE)
                made.length = _below(here, part)
                node = here.children[part] = made
            if node.kind == tar.SYMLINK and (follow or pending):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
                if node.link.startswith(b"/"):
                    trail = [self.root]
                pending += node.link.split(b"/")[::-1]
                continue
            trail.append(node)
        return trail[-1]

    def copied(self) -> "Index":
        """The same tree again, nothing of it on the disk. Names of one file stay names of one."""
        known: dict[int, Node] = {}
        top = Index(_copied(self.root))
        top._entries, top._text = self._entries, self._text
        pending = [(self.root, top.root)]
        while pending:
            node, copy = pending.pop()
            children = copy.children = {}
            for name, child in (node.children or {}).items():
                if child.children is not None:
                    children[name] = _copied(child)
                    pending.append((child, children[name]))
                else:
                    found = known.get(id(child))
                    if found is None:
                        found = known[id(child)] = _copied(child)
                    children[name] = found
        return top

    @property
    def entries(self) -> int:
        """How many there were in the archive."""
        return self._entries

    def _charge_implied(self, name: bytes) -> None:
        self._charge(Entry(name, tar.DIRECTORY))

    def remove(self, path: bytes) -> None:
        """Take `path` out, which is relative and clean; nothing happens where it is not there."""
        above, name = split(path)
        try:
            children = self.find(above).children
        except OSError:
            return
        if children is not None:
            children.pop(name, None)
        self._recent = (b"", self.root)


def _below(parent: Node, name: bytes) -> int:
    """The length of a real path. By links it could grow for ever, while no kernel opens it, and every walk writes it out."""
    if len(name) > _LONGEST_NAME:
        raise BadArchive(f"{shown(name)} is a name that no file system could hold")
    length = parent.length + len(name) + 1
    if length > MAX_PATH:
        raise BadArchive(f"the path that ends with {shown(name)} is longer than {MAX_PATH} bytes")
    return length


def _copied(node: Node) -> Node:
    """The node without what is below it."""
    copy = Node(node.kind, node.mode)
    copy.mtime, copy.size, copy.offset, copy.digest = node.mtime, node.size, node.offset, node.digest
    copy.link, copy.rdev, copy.regions, copy.xattrs = node.link, node.rdev, node.regions, node.xattrs
    copy.length = node.length
    return copy


def walk(top: Node, enters: Callable[[str], bool]) -> Iterator[Below[Node]]:
    """Everything below a node, sorted, parents first."""
    pending: list[Below[Node]] = _children("", top)
    while pending:
        entry = pending.pop()
        yield entry
        if entry.directory and enters(entry.path):
            pending += _children(entry.path + "/", entry.item)


def _children(prefix: str, node: Node) -> list[Below[Node]]:
    children = node.children or {}
    return [
        Below(prefix + os.fsdecode(name), children[name].children is not None, children[name])
        for name in sorted(children, reverse=True)
    ]


def tops(index: Index, wanted: Wanted) -> list[tuple[str, Node]]:
    """What the path itself means: paths and nodes, links followed. Raises OSError where one is not there."""
    glob = wanted.glob
    if glob is None:
        return [(wanted.base, index.find(os.fsencode(wanted.base)))]
    try:
        base = index.find(os.fsencode(wanted.base))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found: list[tuple[str, Node]] = []
    prefix = wanted.base + "/" if wanted.base else ""
    for entry in walk(base, lambda path: glob.may_match_below(path) and not glob.matches(path)):
        if glob.matches(entry.path):
            path = prefix + entry.path
            top = index.find(os.fsencode(path))
            if top.children is not None or not wanted.parents:
                found.append((path, top))
    return found


def below(top: Node, wanted: Wanted) -> Iterator[Below[Node]]:
    """What is taken below a top."""
    return chosen(walk(top, wanted.filter.enters), wanted.filter)
