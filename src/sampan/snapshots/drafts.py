"""Layers that are made by writing to them, one on top of the other, before any of them has a name.

    begin(chain) ─▶ Draft ─ written to ─▶ seal ─▶ begin(chain, below=it) ─▶ Draft ─ written to ─▶ seal ─▶ …
                                           │                                                        │
                                           └─ tar, digest ─▶ place(chain, …) ─▶ Layer ─▶ place(…) ──┘     the lowest first

A build stands its next step on the last one's files at once; what the layer is called follows from its tar, which is made
meanwhile. Until it is placed a draft lies where an unfinished layer lies: a crash leaves nothing that a later open would show.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from sampan.files.measure import measure
from sampan.files.walk import open_plain, walk
from sampan.snapshots.cloning import Trees
from sampan.snapshots.comparison import is_changed, lstat, tree_difference, tree_usage
from sampan.snapshots.difference import MADE_DIRECTORIES, MADE_FILES, is_opaque, overlay_difference, unmarked
from sampan.snapshots.mounting import READ_ONLY, Merging
from sampan.snapshots.protocol import Draft, Layer, LayerNotFound, chain_id
from sampan.snapshots.shelf import Shelf
from sampan.snapshots.staging import check_parent
from sampan.snapshots.whiteouts import Marks
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import PlainRoot, RootMount

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_NANO = 1_000_000_000


class _OnShelf:
    """What the drivers have in common."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def begin(self, base: ChainId | None, below: Draft | None = None) -> Draft:
        """See the protocol."""
        check_parent(self._shelf, base, more=0 if below is None else sum(1 for _ in below.stack()))
        place = self._shelf.new_layer()
        files = place / "diff"
        try:
            self._make(files, base, below)
            (place / "work").mkdir(mode=0o700)
            return Draft(base, below, place, self._shelf.lend_link(place))
        except BaseException:
            self._shelf.trash.take(place)
            raise

    def _make(self, files: Path, base: ChainId | None, below: Draft | None) -> None:
        """The directory to write to. A driver whose layers lie each by itself begins with an empty one."""
        del base, below
        files.mkdir(mode=0o755)
        # Not subject to the umask, as the root of what a container sees.
        files.chmod(0o755)

    def discard(self, draft: Draft) -> None:
        """See the protocol."""
        self._shelf.return_link(draft.link)
        if draft.place.exists():
            self._shelf.trash.take(draft.place)

    def _publish(self, parent: ChainId | None, draft: Draft, diff_id: DiffId, size: int, tar_size: int) -> Layer:
        work = draft.place / "work"
        if work.exists():
            self._shelf.trash.take(work)
        layer = Layer(chain_id(parent, diff_id), diff_id, parent, size, tar_size)
        try:
            return self._shelf.publish(draft.place, layer)
        finally:
            self._shelf.return_link(draft.link)


class OverlayDrafts(_OnShelf):
    """See `Drafts`. What is written to a draft is a layer in the driver's terms already: it becomes one by a rename."""

    def __init__(self, shelf: Shelf, merging: Merging) -> None:
        super().__init__(shelf)
        self._merging = merging

    def root(self, draft: Draft) -> RootMount:
        """See the protocol."""
        lowers = [str(below.link) for below in draft.stack()][1:]
        lowers += self._shelf.stack(draft.base, short=True)
        if not lowers:
            return PlainRoot(str(draft.files))
        return self._merging.root(tuple(lowers), str(draft.files), str(draft.place / "work"))

    def opened(self, draft: Draft, bare: bool = False) -> int:
        """See the protocol."""
        if bare:
            return os.open(draft.files, _DIRECTORY)
        lowers: list[int] = []
        try:
            lowers += [os.open(below.files, _DIRECTORY) for below in draft.stack() if below is not draft]
            with self._shelf.opened(draft.base) as layers:
                if not lowers and not layers:
                    return os.open(draft.files, _DIRECTORY)
                return self._merging.union([*lowers, *layers], str(draft.files), str(draft.place / "work"))
        finally:
            for lower in lowers:
                os.close(lower)

    def view(self, base: ChainId | None, draft: Draft | None) -> int:
        """See the protocol."""
        own: list[int] = []
        try:
            own += [os.open(below.files, _DIRECTORY) for below in (draft.stack() if draft else ())]
            with self._shelf.opened(base) as layers:
                lowers = [*own, *layers]
                if not lowers:
                    raise LayerNotFound("an empty tree has no layers to look into")
                if len(lowers) == 1:
                    return os.open(b".", _DIRECTORY, dir_fd=lowers[0])
                return self._merging.union(lowers, attributes=READ_ONLY)
        finally:
            for lower in own:
                os.close(lower)

    def seal(self, draft: Draft, clock: int | None = None, mounted: Sequence[str] | None = None) -> None:
        """See the protocol."""
        bare = draft.base is None and draft.below is None
        lower = -1 if bare else self.view(draft.base, draft.below)
        upper = os.open(draft.files, _DIRECTORY)
        try:
            if mounted is not None:
                _take_out(lower, upper, mounted, self._merging.marks)
            if clock is not None:
                _set_back(lower, upper, clock)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)

    def tar(self, draft: Draft) -> Iterator[bytes]:
        """See the protocol."""
        upper = os.open(draft.files, _DIRECTORY)
        try:
            yield from overlay_difference(upper, every=True, marks=self._merging.marks)
        finally:
            os.close(upper)

    def place(self, parent: ChainId | None, draft: Draft, diff_id: DiffId, tar_size: int) -> Layer:
        """See the protocol."""
        upper = os.open(draft.files, _DIRECTORY)
        try:
            size, _ = measure(upper)
        finally:
            os.close(upper)
        return self._publish(parent, draft, diff_id, size, tar_size)


class VfsDrafts(_OnShelf):
    """See `Drafts`. A draft is a copy of all that is below it."""

    def __init__(self, shelf: Shelf, trees: Trees) -> None:
        super().__init__(shelf)
        self._trees = trees

    def _make(self, files: Path, base: ChainId | None, below: Draft | None) -> None:
        if base is not None:
            # A borrowed layer says here that it cannot be copied.
            next(self._shelf.stack(base), None)
        source = self._place_below(base, below)
        if source is None:
            self._trees.fresh(files)
            files.chmod(0o755)
        else:
            self._trees.clone(source, files)

    def root(self, draft: Draft) -> RootMount:
        """See the protocol."""
        return PlainRoot(str(draft.files))

    def opened(self, draft: Draft, bare: bool = False) -> int:  # noqa: ARG002 - a copy of all that is below
        """See the protocol."""
        return os.open(draft.files, _DIRECTORY)

    def view(self, base: ChainId | None, draft: Draft | None) -> int:
        """See the protocol."""
        if draft is not None:
            return os.open(draft.files, _DIRECTORY)
        if base is None:
            raise LayerNotFound("an empty tree has no layers to look into")
        self._shelf.layer(base)
        return os.open(self._shelf.directory(base), _DIRECTORY)

    def seal(self, draft: Draft, clock: int | None = None, mounted: Sequence[str] | None = None) -> None:
        """See the protocol."""
        lower = self._below(draft)
        upper = os.open(draft.files, _DIRECTORY)
        try:
            if mounted is not None:
                _take_out(lower, upper, mounted, None)
            if clock is not None:
                _set_back(lower, upper, clock)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)
        self._trees.settle(draft.files)

    def tar(self, draft: Draft) -> Iterator[bytes]:
        """See the protocol."""
        lower = self._below(draft)
        upper = os.open(draft.files, _DIRECTORY)
        try:
            yield from tree_difference(lower, upper, every=True, exact=self._trees.keeps_inodes)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)

    def place(self, parent: ChainId | None, draft: Draft, diff_id: DiffId, tar_size: int) -> Layer:
        """See the protocol."""
        lower = os.open(self._shelf.directory(parent), _DIRECTORY) if parent is not None else -1
        upper = os.open(draft.files, _DIRECTORY)
        try:
            size = tree_usage(lower, upper, exact=self._trees.keeps_inodes).size
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)
        return self._publish(parent, draft, diff_id, size, tar_size)

    def _below(self, draft: Draft) -> int:
        place = self._place_below(draft.base, draft.below)
        return os.open(place, _DIRECTORY) if place is not None else -1

    def _place_below(self, base: ChainId | None, below: Draft | None) -> Path | None:
        if below is not None:
            return below.files
        return self._shelf.directory(base) if base is not None else None


def _take_out(lower: int, upper: int, mounted: Sequence[str], marks: Marks | None) -> None:
    """Remove the places for mounts that a start made; a directory that has changed by that alone is not the layer's."""
    touched: set[bytes] = set()
    places = {*MADE_FILES, *MADE_DIRECTORIES, *(os.fsencode(place).strip(b"/") for place in mounted)}
    # What is deepest first: a directory that was made on the way to a place goes when nothing is in it any more.
    ways = {place.rsplit(b"/", up)[0] for place in places for up in range(place.count(b"/") + 1)}
    for path in sorted(ways - {b""}, key=lambda way: (-way.count(b"/"), way)):
        status = lstat(upper, path)
        if status is not None and lstat(lower, path) is None and _removed(upper, path, status, marks):
            touched.add(path.rpartition(b"/")[0])
    for above in touched:
        _settle_directory(lower, upper, above, marks)


def _removed(upper: int, path: bytes, status: os.stat_result, marks: Marks | None) -> bool:
    """Whether the entry was an empty file or directory, and is gone now."""
    above, _, name = path.rpartition(b"/")
    # By descriptors, no link followed: the program may have put one in the place of a directory (CVE-2024-23652).
    directory = open_plain(upper, above)
    if directory < 0:
        return False
    try:
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            os.unlink(name, dir_fd=directory)
        elif stat.S_ISDIR(status.st_mode):
            _remove_directory(directory, name, marks)
        else:
            return False
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    finally:
        os.close(directory)
    return True


def _remove_directory(parent: int, name: bytes, marks: Marks | None) -> None:
    """rmdir(2), also of a directory that holds nothing but the files that mark it. Raises OSError (ENOTEMPTY)."""
    directory = open_plain(parent, name)
    if directory < 0:
        return
    try:
        if not unmarked(directory, marks):
            for mark in os.listdir(directory):
                os.unlink(mark, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def _settle_directory(lower: int, upper: int, path: bytes, marks: Marks | None) -> None:
    """The time of a directory in which only the engine changed something is that of before; an empty copy of it goes."""
    before = lstat(lower, path or b".")
    if before is None or not stat.S_ISDIR(before.st_mode) or lstat(upper, path or b".") is None:
        return
    directory = open_plain(upper, path)
    if directory < 0:
        return
    try:
        unchanged = unmarked(directory, marks) == (_names(lower, path) if marks is None else set())
        if unchanged:
            os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
        same = not is_changed(lower, path, directory)
    finally:
        os.close(directory)
    if path and marks is not None and unchanged and same:
        above, _, name = path.rpartition(b"/")
        parent = open_plain(upper, above)
        try:
            if not is_opaque(parent, name, marks):
                _remove_directory(parent, name, marks)
        finally:
            os.close(parent)


def _names(root: int, path: bytes) -> set[bytes]:
    directory = open_plain(root, path)
    if directory < 0:
        return set()
    try:
        return unmarked(directory, None)
    finally:
        os.close(directory)


def _set_back(lower: int, upper: int, clock: int) -> None:
    """What is younger than `clock` becomes as old as it; what is as it was below stays."""
    directories: list[bytes] = []
    for path, parent, name, status in walk(upper):
        if status.st_mtime_ns <= clock * _NANO:
            continue
        if stat.S_ISDIR(status.st_mode):
            directories.append(path)
        elif not stat.S_ISCHR(status.st_mode) or status.st_rdev:
            below = lstat(lower, path)
            if below is None or below.st_mtime_ns != status.st_mtime_ns:
                os.utime(name, ns=(clock * _NANO, clock * _NANO), dir_fd=parent, follow_symlinks=False)
    for path in directories:
        directory = open_plain(upper, path)
        if directory >= 0:
            os.utime(directory, ns=(clock * _NANO, clock * _NANO))
            os.close(directory)
