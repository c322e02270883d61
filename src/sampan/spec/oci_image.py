"""OCI image documents, with what Docker adds to them: descriptors, manifests, indexes, configurations; and Docker's archive list.

An image is named by the digest of its configuration's bytes, so these bytes are kept as they came; what is typed here is a
reading of them. Members that are not listed are dropped by the reading and live on in the bytes. Everything may be absent or
null, as Go's decoder takes it; a wrong type raises InvalidParameter.
"""

from typing import Annotated, TypeVar

import msgspec

from sampan.errors import InvalidParameter

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20

Natural = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

REF_NAME = "org.opencontainers.image.ref.name"
REFERENCE_TYPE = "vnd.docker.reference.type"
"""On an index's entry that speaks of another one: buildkit's attestations."""
CONTAINERD_NAME = "io.containerd.image.name"


class Empty(msgspec.Struct, frozen=True):
    """`{}`: the value in Go's sets."""


class Platform(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"os_version": "os.version", "os_features": "os.features"},
):
    """What machine an image is for."""

    architecture: str = ""
    os: str = ""
    os_version: str = ""
    os_features: list[str] | None = None
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Names content: its type, its digest as text (check it with `parse_digest`), its size in bytes."""

    media_type: str = ""
    digest: str = ""
    size: Natural = 0
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str = ""
    """in a list of referrers: what kind of thing it is"""


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform: its configuration and its layers, the lowest first."""

    schema_version: int = 2
    media_type: str = ""
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    manifests: list[msgspec.Raw] | None = None
    """Must be absent: a document that is both manifest and index means two things (CVE-2021-41190)."""


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """Several manifests, or indexes."""

    schema_version: int = 2
    media_type: str = ""
    manifests: list[Descriptor] | None = None
    annotations: dict[str, str] | None = None
    layers: list[msgspec.Raw] | None = None
    config: dict[str, msgspec.Raw] | None = None


class Healthcheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """How Docker asks a container whether it is well. Durations in nanoseconds, 0 inherits."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ImageConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Defaults for containers made from an image (OCI image-spec, "config"; Docker's own members at the end)."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    exposed_ports: dict[str, Empty | None] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    volumes: dict[str, Empty | None] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None
    args_escaped: bool = False


class RootFs(msgspec.Struct, frozen=True):
    """The layers' digests, uncompressed, the lowest first."""

    type: str = "layers"
    diff_ids: list[str] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one layer came to be. `empty_layer`: no layer belongs to it."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Image(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"os_version": "os.version", "os_features": "os.features", "build_cache": "moby.buildkit.cache.v0"},
):
    """An image's configuration document. `build_cache`: base64, BuildKit's inline cache."""

    architecture: str = ""
    os: str = ""
    config: ImageConfig | None = None
    rootfs: RootFs | None = None
    history: list[History] | None = None
    created: str | None = None
    author: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: list[str] | None = None
    comment: str = ""
    docker_version: str = ""
    parent: str = ""
    container: str = ""
    build_cache: str | None = None


class ArchivedImage(msgspec.Struct, frozen=True, rename="pascal"):
    """One entry of `manifest.json` in a Docker archive: names of members, and tags."""

    config: str = ""
    repo_tags: list[str] | None = None
    layers: list[str] | None = None
    parent: str = ""


Document = TypeVar("Document")


def decode(data: bytes, kind: type[Document], what: str, limit: int = MANIFEST_LIMIT) -> Document:
    """`data` read as a document. Raises InvalidParameter that names `what` for size, depth, syntax and types."""
    if len(data) > limit:
        raise InvalidParameter(f"{what} is larger than {limit} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"{what} is malformed: {error}") from error


def decode_image(data: bytes) -> Image:
    """A configuration whose environment is safe to use: each entry has a name, `=` and no NUL (CVE-2026-57231)."""
    image = decode(data, Image, "the image's configuration", CONFIG_LIMIT)
    for entry in (image.config.env if image.config else None) or ():
        name, equals, _ = entry.partition("=")
        if not equals or not name or "\0" in entry:
            raise InvalidParameter(f"the image's environment has the entry {entry[:200]!r}, which is not NAME=value")
    return image


def encode_image(image: Image) -> bytes:
    """The bytes of a configuration that is made here; their digest is the image's id."""
    return msgspec.json.encode(image, order="sorted")


def decode_manifest(data: bytes, media_type: str = "") -> Manifest:
    """A manifest that is nothing else, and says of itself what its descriptor says. Raises InvalidParameter."""
    manifest = decode(data, Manifest, "the manifest")
    if manifest.manifests is not None or manifest.config is None:
        raise InvalidParameter("the manifest is ambiguous or has no configuration")
    _same_type(media_type, manifest.media_type)
    return manifest


def decode_index(data: bytes, media_type: str = "") -> Index:
    """An index that is nothing else. Raises InvalidParameter."""
    index = decode(data, Index, "the image index")
    if index.layers is not None or index.config is not None:
        raise InvalidParameter("the image index is ambiguous: it has layers or a configuration")
    _same_type(media_type, index.media_type)
    return index


def _same_type(described: str, own: str) -> None:
    if described and own and described != own:
        raise InvalidParameter(f"the document says that it is {own!r}, its descriptor says {described!r}")
