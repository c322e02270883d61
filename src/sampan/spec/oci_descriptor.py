"""OCI descriptors and platforms as the Engine API embeds them (image-spec, descriptor.md)."""

from sampan.spec.document import Document, Int64, Names, Pairs, sent


class Platform(
    Document,
    frozen=True,
    rename={"os_version": "os.version", "os_features": "os.features"},
):
    """What a manifest runs on."""

    architecture: str = sent("")
    os: str = sent("")
    os_version: str = ""
    os_features: Names | None = None
    variant: str = ""


class Descriptor(Document, frozen=True, rename="camel"):
    """Names a blob: its media type, digest and size; `data` is base64."""

    media_type: str = sent("")
    digest: str = sent("")
    size: Int64 = sent(0)
    urls: Names | None = None
    annotations: Pairs | None = None
    data: str | None = None
    platform: Platform | None = None
    artifact_type: str = ""
