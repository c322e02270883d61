"""From what a name stands for in a registry to one image's manifest: through indexes, by platform, nothing believed.

tag ──▶ index ──▶ (index ──▶) manifest of the wanted platform ──▶ configuration and layers, checked to be an image's
"""

from dataclasses import dataclass

import msgspec

from sampan.errors import InvalidParameter, NotFound
from sampan.images.platforms import choose
from sampan.images.references import Reference
from sampan.registry.protocol import Source
from sampan.spec.ids import digest_of, parse_digest
from sampan.spec.oci_image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Platform,
    decode,
    decode_index,
    decode_manifest,
)

_DEPTH = 4
_LAYERS = 10_000
_INDEXES = (OCI_INDEX, DOCKER_INDEX)
_MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
# What old registries call an image's parts; everything else that may be in a registry is no image.
_PARTS = ("application/vnd.oci.image", "application/vnd.docker")
_LOOSE = ("", "application/octet-stream", "application/json", "text/html")
_AI_MODEL = "application/vnd.docker.ai."
_FOREIGN = ("foreign", "nondistributable")


@dataclass(frozen=True, slots=True)
class Passed:
    """An index on the way, or the manifest at its end: as the registry has it."""

    media_type: str
    digest: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Followed:
    """The way from a name to an image; `way` ends with the image's own manifest."""

    way: tuple[Passed, ...]
    config: Descriptor
    layers: tuple[Descriptor, ...]


class _Shape(msgspec.Struct, frozen=True, rename={"media_type": "mediaType", "fs_layers": "fsLayers"}):
    """What tells an index from a manifest where no media type does."""

    media_type: str = ""
    manifests: list[msgspec.Raw] | None = None
    fs_layers: list[msgspec.Raw] | None = None


def follow(
    repository: Source, first: Descriptor, data: bytes, reference: Reference, wanted: Platform, asked: str
) -> Followed:
    """From `first`, whose bytes are `data`, to an image for the platform `wanted`, which messages call `asked`.

    Raises NotFound where there is none, InvalidParameter for what is no image, and what the repository raises.
    """
    way: list[Passed] = []
    descriptor = first
    for _ in range(_DEPTH):
        _verify(descriptor, data)
        media_type = _kind(descriptor.media_type, data, reference)
        way.append(Passed(media_type, descriptor.digest, data))
        if media_type in _MANIFESTS:
            manifest = decode_manifest(data, media_type)
            return Followed(tuple(way), *_checked(manifest))
        entries = decode_index(data, media_type).manifests or []
        chosen = choose(entries, wanted)
        if chosen is None:
            raise NotFound(f"no matching manifest for {asked} in the manifest list entries")
        if chosen.digest in {passed.digest for passed in way}:
            raise InvalidParameter(f"the image index {descriptor.digest} refers to itself")
        descriptor = msgspec.structs.replace(chosen, digest=parse_digest(chosen.digest))
        data = repository.manifest(descriptor)
    raise InvalidParameter(f"the image indexes of {reference.familiar} are nested too deeply")


def _verify(descriptor: Descriptor, data: bytes) -> None:
    if digest_of(data) != descriptor.digest:
        raise InvalidParameter(f"manifest verification failed for digest {descriptor.digest}")


def _kind(described: str, data: bytes, reference: Reference) -> str:
    """One of the four media types that an image has. Raises InvalidParameter for any other."""
    shape = decode(data, _Shape, "the manifest")
    media_type = described if described in (*_INDEXES, *_MANIFESTS, *_SCHEMA_1) else shape.media_type
    if media_type in _SCHEMA_1 or (not media_type and shape.fs_layers):
        raise InvalidParameter(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. "
            f"Suggest the author of {reference} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. "
            "More information at https://docs.docker.com/go/deprecated-image-specs/"
        )
    if not media_type:
        media_type = OCI_INDEX if shape.manifests is not None else OCI_MANIFEST
    if media_type not in (*_INDEXES, *_MANIFESTS):
        raise InvalidParameter(f"unsupported media type {media_type}")
    return media_type


def _checked(manifest: Manifest) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    config, layers = manifest.config, manifest.layers or []
    assert config is not None
    if len(layers) > _LAYERS:
        raise InvalidParameter(f"the manifest has more than {_LAYERS} layers")
    for part in (config, *layers):
        parse_digest(part.digest)
        _check_type(part.media_type)
    for layer in layers:
        if layer.urls or any(word in layer.media_type for word in _FOREIGN):
            raise InvalidParameter(
                f"the layer {layer.digest} is a foreign one ({layer.media_type}), which lies in no registry: "
                "such images cannot be pulled"
            )
    return config, tuple(layers)


def _check_type(media_type: str) -> None:
    lower = media_type.lower()
    if lower.startswith(_AI_MODEL):
        raise InvalidParameter(
            'AI models are not yet supported by the Engine, please use "docker model pull/run" instead'
        )
    if lower not in _LOOSE and not any(lower.startswith(part + ".") for part in _PARTS):
        raise InvalidParameter(f"unsupported media type {media_type}")
