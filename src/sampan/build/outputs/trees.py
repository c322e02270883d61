"""A result's files as one tar (`--output type=tar` and `local`), the same bytes for the same tree; and times that are cut off."""

import os
from collections.abc import Iterator, Mapping

from sampan.errors import Forbidden
from sampan.files.tar_writer import END, member
from sampan.files.walk import walk
from sampan.images.catalog import Catalog
from sampan.snapshots.difference import tar_entry
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ImageId


def tree_of(
    catalog: Catalog, image: ImageId, clock: int | None = None, beside: Mapping[str, bytes] | None = None
) -> Iterator[bytes]:
    """The image's whole tree in pieces, sorted by path; what it needs is held until the iterator ends or is dropped.

    No time is later than `clock`, in seconds since the epoch. `beside`: files that are put at the top, attestations.
    Raises NoSuchImage, Forbidden for what stands on the image host, OSError.
    """
    pieces = _tree_of(catalog, image, clock, beside or {})
    next(pieces)  # as far as the lease
    return pieces


def _tree_of(catalog: Catalog, image: ImageId, clock: int | None, beside: Mapping[str, bytes]) -> Iterator[bytes]:
    with catalog.lease() as lease:
        catalog.hold_image(lease, image)
        chain = catalog.chain(image)
        try:
            root = catalog.snapshots.view(chain) if chain is not None else -1
        except LayerNotFound:
            raise Forbidden(
                "the tree stands on the image host, which is this machine itself and cannot leave it"
            ) from None
        yield b""
        for name in sorted(beside):
            yield from member(os.fsencode(name), beside[name], clock or 0)
        if root >= 0:
            try:
                yield from tree(root, clock)
            finally:
                os.close(root)
        yield END


def tree(root: int, clock: int | None = None) -> Iterator[bytes]:
    """Every entry below the descriptor `root` as a tar without its end. Raises OSError."""
    latest = None if clock is None else clock * 10**9
    first_names: dict[tuple[int, int], bytes] = {}
    for path, parent, name, status in walk(root):
        yield from tar_entry(path, parent, name, status, first_names, latest)


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
