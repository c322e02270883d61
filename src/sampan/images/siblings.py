"""Images of one index: the same program for several platforms, of which the name means one."""

from sampan.errors import SampanError
from sampan.images.catalog import Catalog
from sampan.images.platforms import fits, platform_of
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import DOCKER_INDEX, OCI_INDEX, Platform


def sibling(catalog: Catalog, image: ImageId, wanted: Platform) -> ImageId | None:
    """The image for that platform among `image` and those that came by the same index; None where there is none.

    Raises NoSuchImage, BrokenImage.
    """
    if fits(platform_of(catalog.config(image)), wanted):
        return image
    with catalog.lock:
        indexes = _indexes(catalog, image)
        others = [one for one in catalog.images() if one != image and indexes & _indexes(catalog, one)]
    for one in reversed(others):
        try:
            if fits(platform_of(catalog.config(one)), wanted):
                return one
        except SampanError:
            continue  # damaged: it is brought again
    return None


def _indexes(catalog: Catalog, image: ImageId) -> set[str]:
    manifests = catalog.record(image).manifests
    return {one.digest for one in manifests if one.media_type in (OCI_INDEX, DOCKER_INDEX)}
