"""`commit`: what a container changed becomes a layer on top of its image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter
from sampan.files.tar_writer import END
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.importing import now
from sampan.images.leases import Lease
from sampan.images.platforms import machine_architecture
from sampan.images.references import Reference
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.oci_image import History, Image, ImageConfig, RootFs, encode_image

_LIMIT = 256 << 30
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class CommitWish:
    """What the new image is to say. `parent` None: the container stands on nothing. `created_by`: its command, for the history."""

    parent: ImageId | None
    config: ImageConfig
    author: str = ""
    comment: str = ""
    container: str = ""
    created_by: str = ""


def commit_image(
    catalog: Catalog,
    difference: Iterator[bytes],
    wish: CommitWish,
    reference: Reference | None,
    captured: Callable[[], None],
) -> ImageId:
    """Make an image of a writable layer's difference (a tar, in pieces). `captured` is called when all of it was read.

    An empty difference makes no layer, as in Docker. Raises NoSuchImage for the parent, InvalidParameter, OSError.
    """
    if reference is not None and catalog.is_reserved(reference.stored()):
        raise InvalidParameter(f"the name {reference.familiar} is reserved for this machine's own image")
    parent = wish.parent
    base = catalog.config(parent) if parent is not None else Image(architecture=machine_architecture(), os="linux")
    with catalog.lease() as lease:
        layers, below = _hold_parent(catalog, lease, parent)
        diff_ids = list((base.rootfs.diff_ids if base.rootfs else None) or ())
        blob, size = catalog.content.ingest(reader_of(difference), _LIMIT, claim=lease.take)
        captured()
        empty = size == len(END)
        if not empty:
            with catalog.content.open(blob) as tar:
                layer = catalog.snapshots.apply(below, tar, DiffId(blob))
            lease.take(layer.chain)
            layers.append(LayerRecord(blob, layer.diff_id, size))
            diff_ids.append(layer.diff_id)
        image = _image(base, wish, diff_ids, empty)
        identity = ImageId(catalog.content.put(encode_image(image), lease.take))
        catalog.content.sync()
        catalog.snapshots.sync()
        crash_point("image-before-commit")
        names = [reference] if reference is not None else []
        catalog.add(identity, layers, names, parent or "")
        crash_point("image-after-commit")
    return identity


def _hold_parent(catalog: Catalog, lease: Lease, parent: ImageId | None) -> tuple[list[LayerRecord], ChainId | None]:
    """The parent's layers and what they stack up to; kept from removal for as long as the lease."""
    if parent is None:
        return [], None
    with catalog.lock:
        record, chains = catalog.hold_image(lease, parent), catalog.chains(parent)
    return list(record.layers), chains[-1] if chains else None


def reader_of(pieces: Iterator[bytes]) -> Callable[[int], bytes]:
    """Pieces as what `Content.ingest` reads from."""

    def read(_: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= _PIECE:
                break
        return b"".join(parts)

    return read


def _image(base: Image, wish: CommitWish, diff_ids: list[str], empty: bool) -> Image:
    created = now()
    step = History(
        created=created, created_by=wish.created_by, author=wish.author, comment=wish.comment, empty_layer=empty
    )
    return Image(
        architecture=base.architecture or machine_architecture(),
        variant=base.variant,
        os=base.os or "linux",
        os_version=base.os_version,
        os_features=base.os_features,
        config=wish.config,
        rootfs=RootFs(diff_ids=diff_ids),
        history=[*(base.history or ()), step],
        created=created,
        author=wish.author,
        comment=wish.comment,
        container=wish.container,
    )
