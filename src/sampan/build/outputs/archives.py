"""A result as an archive that leaves: Docker's, as `save` writes it, or an OCI layout with annotations and attestations."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sampan.build.outputs.manifests import Composed, Portion, Wanted, compose
from sampan.errors import Forbidden
from sampan.images import host
from sampan.images.catalog import Catalog
from sampan.images.references import Reference
from sampan.images.saving import Chosen, Parts, save, write_archive
from sampan.images.steps import Cancellation
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import CONTAINERD_NAME, REF_NAME, Descriptor


def docker_archive(catalog: Catalog, image: ImageId, names: Sequence[Reference]) -> Iterator[bytes]:
    """What `docker load` takes. Held until the iterator ends or is dropped. Raises NoSuchImage, Forbidden."""
    refuse_host(catalog, image)
    return save(catalog, [Chosen(image, list(names))])


@dataclass(frozen=True, slots=True)
class OciArchive:
    """A layout in pieces, held until they end or are dropped; `top` is the manifest or index that it is of."""

    top: Descriptor
    pieces: Iterator[bytes]


def oci_archive(
    catalog: Catalog, portions: Sequence[Portion], wanted: Wanted, end: Cancellation | None = None
) -> OciArchive:
    """An OCI layout. Raises NoSuchImage, Forbidden, InvalidParameter, OSError.

    The same images with the same words give the same bytes.
    """
    for one in portions:
        refuse_host(catalog, one.image)
    found: list[Descriptor] = []
    pieces = _oci_archive(catalog, portions, wanted, end or Cancellation(), found.append)
    next(pieces)  # as far as the lease, and the layers that have to be packed
    return OciArchive(found[0], pieces)


def _oci_archive(
    catalog: Catalog,
    portions: Sequence[Portion],
    wanted: Wanted,
    end: Cancellation,
    told: Callable[[Descriptor], None],
) -> Iterator[bytes]:
    with catalog.lease() as lease:
        composed = compose(catalog, lease, portions, wanted, end)
        told(composed.top)
        parts = Parts(small=composed.small, layers=composed.layers, index=_entries(composed, wanted))
        yield b""
        yield from write_archive(catalog, parts)


def _entries(composed: Composed, wanted: Wanted) -> list[Descriptor]:
    """The layout's own list: the result once for each of its names."""
    named = [{CONTAINERD_NAME: str(name), REF_NAME: name.tag or ""} for name in wanted.names] or [{}]
    own = composed.top.annotations or {}
    return [msgspec.structs.replace(composed.top, annotations={**own, **told} or None) for told in named]


def refuse_host(catalog: Catalog, image: ImageId) -> None:
    """Raises Forbidden for what stands on the image host."""
    rootfs = catalog.config(image).rootfs
    if rootfs is not None and host.DIFF_ID in (rootfs.diff_ids or ()):
        raise Forbidden("it stands on the image host, which is this machine itself and cannot leave it")
