"""A result's files as one tar (`--output type=tar` and `local`), the same bytes for the same tree; and times that are cut off."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sampan.errors import Forbidden
from sampan.files.tar_reader import DIRECTORY, Entry
from sampan.files.tar_writer import END, header, member
from sampan.files.walk import walk
from sampan.images.catalog import Catalog
from sampan.snapshots.difference import tar_entry
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ImageId


@dataclass(frozen=True, slots=True)
class Whole:
    """An image of which all files are wanted, in a directory of that name, or ("") at the top; `beside` them what is attested."""

    image: ImageId
    directory: str = ""
    beside: Mapping[str, bytes] | None = None


def trees_of(catalog: Catalog, wanted: Sequence[Whole], clock: int | None = None) -> Iterator[bytes]:
    """The images' whole trees in pieces, each sorted by path; what they need is held until the iterator ends or is dropped.

    No time is later than `clock`, in seconds since the epoch.
    Raises NoSuchImage, Forbidden for what stands on the image host, OSError.
    """
    pieces = _trees_of(catalog, wanted, clock)
    next(pieces)  # as far as the lease
    return pieces


def _trees_of(catalog: Catalog, wanted: Sequence[Whole], clock: int | None) -> Iterator[bytes]:
    at = (clock or 0) * 10**9
    with ExitStack() as stack:
        lease = stack.enter_context(catalog.lease())
        roots = []
        for one in wanted:
            catalog.hold_image(lease, one.image)
            roots.append(_root(catalog, one.image))
            if roots[-1] >= 0:
                stack.callback(os.close, roots[-1])
        yield b""
        for one, root in zip(wanted, roots, strict=True):
            prefix = os.fsencode(f"{one.directory}/") if one.directory else b""
            if prefix:
                top = Entry(prefix, DIRECTORY, mode=0o755)
                top.mtime = at
                yield header(top)
            for name, data in sorted((one.beside or {}).items()):
                yield from member(prefix + os.fsencode(name), data, at)
            if root >= 0:
                yield from tree(root, clock, prefix)
        yield END


def _root(catalog: Catalog, image: ImageId) -> int:
    """A descriptor of the image's tree; -1 for one without layers."""
    chain = catalog.chain(image)
    try:
        return catalog.snapshots.view(chain) if chain is not None else -1
    except LayerNotFound:
        raise Forbidden("the tree stands on the image host, which is this machine itself and cannot leave it") from None


def tree(root: int, clock: int | None = None, prefix: bytes = b"") -> Iterator[bytes]:
    """Every entry below the descriptor `root` as a tar without its end, each name behind `prefix`. Raises OSError."""
    latest = None if clock is None else clock * 10**9
    first_names: dict[tuple[int, int], bytes] = {}
    for path, parent, name, status in walk(root):
        yield from tar_entry(prefix + path, parent, name, status, first_names, latest)


def cut_times(root: int, clock: int) -> None:
    """Let no entry below the descriptor `root`, nor itself, be younger than `clock`, in seconds since the epoch.

    For a tree that nobody else writes to: the writable layer of a step that has ended. Raises OSError.
    """
    latest = clock * 10**9
    for _, parent, name, status in walk(root):
        if status.st_mtime_ns > latest:
            os.utime(name, ns=(min(status.st_atime_ns, latest), latest), dir_fd=parent, follow_symlinks=False)
    status = os.fstat(root)
    if status.st_mtime_ns > latest:
        os.utime(root, ns=(min(status.st_atime_ns, latest), latest))
