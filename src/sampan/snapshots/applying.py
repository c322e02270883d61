"""How a layer comes to be: unpacked beside, verified, completed, renamed."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive
from sampan.snapshots.protocol import Layer, LayerNotFound, chain_id
from sampan.snapshots.shelf import Shelf
from sampan.snapshots.staging import check_parent, place, unpack_beside
from sampan.spec.ids import ChainId, DiffId

_CHUNK = 1 << 20


def apply_layer(
    shelf: Shelf,
    parent: ChainId | None,
    stream: BinaryIO,
    expected: DiffId | None,
    marks: str,
    begin: Callable[[Path], None],
    mend: bool = False,
) -> Layer:
    """`Snapshotter.apply` for a driver that keeps its layers on `shelf`. `begin` makes the directory to unpack into.

    `mend`: in the place of what is there, which is damaged.
    """
    if expected is not None and not mend and (known := _known(shelf, chain_id(parent, expected))) is not None:
        _verify(_digest_of(stream), expected)
        return known
    check_parent(shelf, parent)
    made = unpack_beside(shelf, stream, marks, begin)
    try:
        if expected is not None:
            _verify(made.diff_id, expected)
        return place(shelf, parent, made, complete=marks != "applied", mend=mend)
    except BaseException:
        shelf.trash.take(made.place)
        raise


def _known(shelf: Shelf, chain: ChainId) -> Layer | None:
    try:
        return shelf.layer(chain)
    except LayerNotFound:
        return None


def _digest_of(stream: BinaryIO) -> DiffId:
    """The digest of the tar. Read in full though the layer is known: whoever names a layer must have it."""
    hashed = hashlib.sha256()
    source = decompressed(stream)
    while chunk := source.read(_CHUNK):
        hashed.update(chunk)
    return DiffId(f"sha256:{hashed.hexdigest()}")


def _verify(actual: DiffId, expected: DiffId) -> None:
    if actual != expected:
        raise BadArchive(f"wrong diff id calculated on extraction {actual}, {expected} was expected")
