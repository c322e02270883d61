"""COPY and ADD: files of other trees into the target's, as BuildKit's file backend has it.

each path ──parse_path──> tops (wildcards, links followed inside the source) ──> a file, or what a directory holds
                              └── ADD: an archive ──> unpacked
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence

from sampan.build.operations import Copy
from sampan.build.tree.archives import unpack_archive
from sampan.build.tree.directory import MODE
from sampan.build.tree.manner import Manner
from sampan.build.tree.modes import absolute_mode, parse_mode
from sampan.build.tree.owners import owner_of
from sampan.build.tree.selection import Below, Wanted, literal_path, parse_path
from sampan.build.tree.source import Origin, SourceMissing, SourceTree, Top
from sampan.build.tree.writing import InTheWay, Item, Writing
from sampan.errors import HOST_TROUBLE, InvalidParameter, SampanError
from sampan.files.root import link_in_root
from sampan.kernel.files import Resolve, openat2

_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
_MOST_LINKS = 40


class CopyFailed(InvalidParameter):
    """The kernel refuses what a COPY or ADD asks for."""


def apply_copy(
    operation: Copy,
    sources: Sequence[SourceTree],
    target: int,
    *,
    names: int | None = None,
    epoch: int | None = None,
) -> None:
    """Carry out `operation` on the tree below the descriptor `target`; `sources[n]` holds what `operation.paths[n]` names.

    `names` is the root whose passwd and group files say who `--chown` means, by default the target: of `--link` the image below.
    `epoch` (SOURCE_DATE_EPOCH) in nanoseconds: no time is later; without it new directories are of now. `operation.link` makes no
    difference here: the caller hands in an empty target. What was written before an error stays.
    Raises SourceMissing, InTheWay, NoDirectory, BadOwner, BadMode, BadSelection, BadArchive, CopyFailed; OSError for the host's
    own trouble (disk full).
    """
    owner = owner_of(target if names is None else names, operation.chown)
    change = parse_mode(operation.chmod) if operation.chmod else None
    mode = absolute_mode(operation.chmod)
    writing = Writing(target, Manner(owner, change, MODE if mode is None else mode & MODE, epoch))
    try:
        for tree, paths in zip(sources, operation.paths, strict=True):
            for path in paths:
                _guarded(operation, tree, path, writing)
        writing.finish()
    finally:
        writing.close()


def _guarded(operation: Copy, tree: SourceTree, path: str, writing: Writing) -> None:
    try:
        _copy_path(operation, tree, tree.file if tree.file and path == "." else path, writing)
    except SampanError:
        raise
    except OSError as error:
        if error.errno in HOST_TROUBLE:
            raise
        raise CopyFailed(
            f"cannot copy {path} to {operation.destination}: {(error.strerror or str(error)).lower()}"
        ) from error


def _copy_path(operation: Copy, tree: SourceTree, path: str, writing: Writing) -> None:
    # The one file of a tree, or a document, has a name that says nothing more: no wildcards in it, no parents.
    literal = bool(tree.file) or tree.origin is Origin.DOCUMENTS
    wanted = literal_path(path) if literal else parse_path(path, operation.excludes, operation.parents)
    destination = os.fsencode(operation.destination).lstrip(b"/")
    unpacks = tree.origin is Origin.CONTEXT if operation.unpack is None else operation.unpack
    met = False
    for top in _tops(tree, wanted):
        try:
            writing.forget_links()
            if top.is_directory:
                met = _copy_directory(top, wanted, destination, writing) or met
            elif not wanted.parents and not (unpacks and unpack_archive(top.content, destination, writing)):
                writing.write(top.item, _file_place(top.name.rpartition(b"/")[2], destination, writing))
        finally:
            top.close()
    if wanted.parents and wanted.required and not met:
        raise SourceMissing(path, tree.origin)


def _tops(tree: SourceTree, wanted: Wanted) -> Iterator[Top]:
    try:
        yield from tree.tops(wanted)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(wanted.written, tree.origin) from error


def _copy_directory(top: Top, wanted: Wanted, destination: bytes, writing: Writing) -> bool:
    """What the directory holds, into the destination; whether it held anything."""
    into = _directory_at(destination, writing)
    found = False

    def entries() -> Iterator[Below[Item]]:
        nonlocal found
        for entry in top.below(wanted):
            found = True
            yield entry

    writing.write_below(top, entries(), into)
    return found


def _directory_at(destination: bytes, writing: Writing) -> bytes:
    """The real path of the destination as a directory."""
    if not destination.endswith(b"/") and destination:
        parent = writing.make_directories(destination.rpartition(b"/")[0])
        real = _existing(writing.root, _joined(parent, destination.rpartition(b"/")[2]))
        if real is not None and not stat.S_ISDIR(real.st_mode):
            raise InTheWay(f"cannot copy to non-directory: /{os.fsdecode(destination)}")
    return writing.make_directories(destination)


def _file_place(name: bytes, destination: bytes, writing: Writing) -> bytes:
    """The real path of a file that is copied to `destination`: in it where it is a directory, else at it."""
    if destination.endswith(b"/") or not destination:
        return _joined(writing.make_directories(destination), name)
    for _ in range(_MOST_LINKS):
        above, _, last = destination.rpartition(b"/")
        if last in (b"", b".", b".."):
            return _joined(writing.make_directories(destination), name)
        path = _joined(writing.make_directories(above), last)
        status = _existing(writing.root, path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            return _joined(writing.make_directories(path), name)
        target = link_in_root(writing.root, path)
        if target is None:
            return path
        # The link stays, and what it leads to is written, as BuildKit resolves a destination.
        destination = target.lstrip(b"/") if target.startswith(b"/") else _joined(path.rpartition(b"/")[0], target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _joined(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _existing(root: int, path: bytes) -> os.stat_result | None:
    """What `path` leads to inside the root."""
    try:
        descriptor = openat2(root, path, os.O_PATH, _INSIDE)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
