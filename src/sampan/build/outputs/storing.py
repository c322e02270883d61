"""A result's manifest or index in the store, beside the image that has its names: what a push sends then, digest and all.

The image of this machine is an image as any other. Those of other platforms are kept as what the index names, and nothing
of them is unpacked; they go with the image.
"""

from collections.abc import Sequence

from sampan.build.outputs.archives import refuse_host
from sampan.build.outputs.manifests import Composed, Portion, Wanted, compose
from sampan.images.catalog import Catalog, ManifestRecord
from sampan.images.steps import Cancellation
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Descriptor


def store(
    catalog: Catalog, main: ImageId, portions: Sequence[Portion], wanted: Wanted, end: Cancellation
) -> Descriptor:
    """Make the documents, and record them with `main`; the topmost. Durable when this returns.

    Raises NoSuchImage, Forbidden, InvalidParameter, OSError, Cancelled.
    """
    for one in portions:
        refuse_host(catalog, one.image)
    with catalog.lease() as lease:
        composed = compose(catalog, lease, portions, wanted, end)
        for data in composed.small.values():
            catalog.content.put(data, lease.take)
        end.check()
        catalog.content.sync()
        catalog.add(main, [], [], manifests=_records(composed, main, portions))
    return composed.top


def _records(composed: Composed, main: ImageId, portions: Sequence[Portion]) -> list[ManifestRecord]:
    found = [
        ManifestRecord(manifest.digest, manifest.media_type, layers)
        for manifest, layers, one in zip(composed.manifests, composed.layers_of, portions, strict=True)
        if one.image == main
    ]
    if composed.is_index:
        names = [name for name in (*composed.small, *composed.layers) if name != composed.top.digest]
        found.append(ManifestRecord(composed.top.digest, composed.top.media_type, holds=sorted(names)))
    return found
