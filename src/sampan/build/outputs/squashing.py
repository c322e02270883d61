"""`--squash`: an image of the base's layers and one more, which is all that the build changed; as Docker's classic builder."""

import os
from collections.abc import Iterable
from contextlib import ExitStack

from sampan.errors import Forbidden
from sampan.files.tar_writer import END
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.committing import reader_of
from sampan.images.importing import now
from sampan.images.leases import Lease
from sampan.images.references import Reference
from sampan.snapshots.comparison import tree_difference
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.oci_image import History, Image, RootFs, encode_image

_LIMIT = 256 << 30


def squash(
    catalog: Catalog,
    image: ImageId,
    base: ImageId | None,
    created: str | None = None,
    names: Iterable[Reference] = (),
) -> ImageId:
    """The squashed image, recorded with the names; `image` itself stays. `base` None: it was built on nothing.

    `created`: RFC 3339, for builds that are made again; None: now. Waits for the disk.
    Raises NoSuchImage, Forbidden for what stands on the image host, OSError.
    """
    with catalog.lease() as lease:
        record = catalog.hold_image(lease, image)
        lower = catalog.hold_image(lease, base).layers if base is not None else []
        if [one.diff_id for one in lower] != [one.diff_id for one in record.layers[: len(lower)]]:
            raise Forbidden(f"the image {image} does not stand on {base}")
        below = catalog.chain(base) if base is not None else None
        layers = list(lower)
        if len(record.layers) > len(lower):
            layers += _merged(catalog, lease, below, catalog.chain(image))
        document = _document(catalog, image, base, layers, created or now())
        identity = ImageId(catalog.content.put(encode_image(document), lease.take))
        catalog.content.sync()
        catalog.snapshots.sync()
        catalog.add(identity, layers, names, base or "")
    return identity


def _merged(catalog: Catalog, lease: Lease, below: ChainId | None, top: ChainId | None) -> list[LayerRecord]:
    """What turns one stack into the other, as a layer; none where nothing differs."""
    with ExitStack() as opened:
        lower, upper = (_root(catalog, chain, opened) for chain in (below, top))
        blob, size = catalog.content.ingest(reader_of(tree_difference(lower, upper)), _LIMIT, claim=lease.take)
    if size == len(END):
        return []
    with catalog.content.open(blob) as tar:
        layer = catalog.snapshots.apply(below, tar, DiffId(blob))
    lease.take(layer.chain)
    return [LayerRecord(blob, layer.diff_id, size)]


def _root(catalog: Catalog, chain: ChainId | None, opened: ExitStack) -> int:
    """A descriptor of a stack's root, -1 for nothing. Raises Forbidden."""
    if chain is None:
        return -1
    try:
        root = catalog.snapshots.view(chain)
    except LayerNotFound:
        raise Forbidden("what stands on the image host, which is this machine itself, cannot be squashed") from None
    opened.callback(os.close, root)
    return root


def _document(catalog: Catalog, image: ImageId, base: ImageId | None, layers: list[LayerRecord], created: str) -> Image:
    """The configuration as it was; its history says that the steps above the base have no layer of their own any more."""
    whole = catalog.config(image)
    steps = list(whole.history or ())
    kept = len(catalog.config(base).history or ()) if base is not None else 0
    history = steps[:kept]
    for step in steps[kept:]:
        history.append(History(step.created, step.created_by, step.author, step.comment, empty_layer=True))
    comment = f"merge {image} to {base}" if base is not None else f"create new from {image}"
    history.append(History(created, comment=comment, empty_layer=len(layers) == len(_diff_ids(catalog, base))))
    return Image(
        architecture=whole.architecture,
        variant=whole.variant,
        os=whole.os,
        os_version=whole.os_version,
        os_features=whole.os_features,
        config=whole.config,
        rootfs=RootFs(diff_ids=[layer.diff_id for layer in layers]),
        history=history,
        created=created,
        author=whole.author,
        comment=whole.comment,
    )


def _diff_ids(catalog: Catalog, base: ImageId | None) -> list[str]:
    rootfs = catalog.config(base).rootfs if base is not None else None
    return list((rootfs.diff_ids if rootfs is not None else None) or ())
