"""`import`: a root file system in a tar becomes an image of one layer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.changes import apply_changes
from sampan.images.platforms import machine_architecture, parse_platform
from sampan.images.references import Reference
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import History, Image, ImageConfig, Platform, RootFs, encode_image

_LIMIT = 256 << 30
DEFAULT_MESSAGE = "Imported from -"


def import_image(
    catalog: Catalog,
    stream: BinaryIO,
    changes: Sequence[str] = (),
    message: str = "",
    reference: Reference | None = None,
    platform: str = "",
) -> ImageId:
    """Make an image of the tar in `stream`, compressed or not. `changes` are Dockerfile instructions for its configuration.

    `platform`: what it is for, as `os/architecture[/variant]`; this machine where it is "". Raises BadArchive,
    InvalidParameter, OSError; nothing is left behind then.
    """
    if reference is not None and catalog.is_reserved(reference.stored()):
        raise InvalidParameter(f"the name {reference.familiar} is reserved for this machine's own image")
    meant = parse_platform(platform) if platform else Platform(machine_architecture(), "linux")
    if meant.os != "linux":
        raise InvalidParameter("operating system is not supported")
    config = apply_changes(ImageConfig(), changes)
    with catalog.lease() as lease:
        blob, size = catalog.content.ingest(stream.read, _LIMIT, claim=lease.take)
        with catalog.content.open(blob) as tar:
            layer = catalog.snapshots.apply(None, tar)
        lease.take(layer.chain)
        created = now()
        comment = message or DEFAULT_MESSAGE
        image = Image(
            architecture=meant.architecture,
            os="linux",
            variant=meant.variant,
            config=config,
            rootfs=RootFs(diff_ids=[layer.diff_id]),
            history=[History(created=created, comment=comment)],
            created=created,
            comment=comment,
        )
        identity = ImageId(catalog.content.put(encode_image(image), lease.take))
        catalog.content.sync()
        catalog.snapshots.sync()
        crash_point("image-before-commit")
        names = [reference] if reference is not None else []
        catalog.add(identity, [LayerRecord(blob, layer.diff_id, size)], names)
        crash_point("image-after-commit")
    return identity


def now() -> str:
    """This moment as an image's configuration writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
