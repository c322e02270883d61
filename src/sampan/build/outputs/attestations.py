"""Attestations as BuildKit lays them out: in-toto statements in a manifest of their own, beside the image in an OCI index.

    statement  {_type, subject: [name, digest], predicateType, predicate}        one layer of the attestation manifest each
    manifest   platform unknown/unknown, annotated with the digest of the image's manifest

The format: https://docs.docker.com/build/metadata/attestations/attestation-storage; statements: in-toto attestation v0.1.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from sampan.images.references import Reference
from sampan.images.saving import ManifestDocument
from sampan.spec.ids import ImageId, digest_of
from sampan.spec.oci_image import (
    OCI_CONFIG,
    OCI_MANIFEST,
    REFERENCE_TYPE,
    Descriptor,
    Image,
    Platform,
    RootFs,
    encode_image,
)

SPDX = "https://spdx.dev/Document"
PROVENANCE_02 = "https://slsa.dev/provenance/v0.2"
PROVENANCE_1 = "https://slsa.dev/provenance/v1"
IN_TOTO = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v0.1"
_PREDICATE_TYPE = "in-toto.io/predicate-type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_FILES = {SPDX: "sbom.spdx.json", PROVENANCE_02: "provenance.json", PROVENANCE_1: "provenance.json"}


class Statement(msgspec.Struct, frozen=True):
    """Something said of a result: of what kind, and its document."""

    kind: str
    document: dict[str, Any]

    @property
    def file(self) -> str:
        """What it is called beside a tree."""
        return _FILES[self.kind]


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Document(msgspec.Struct, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    type_: str
    predicate_type: str
    subject: list[_Subject]
    predicate: dict[str, Any]


def subjects(names: Sequence[Reference], platform: str) -> list[str]:
    """The package URLs of an image of these names."""
    found = []
    for name in names:
        version = f"@{name.tag}" if name.tag else ""
        found.append(f"pkg:docker/{name.familiar_name}{version}?platform={quote(platform, safe='')}")
    return found


def written(statement: Statement, names: Sequence[str], digest: str) -> bytes:
    """The statement about what has that digest, under these names; about its digest alone where there are none."""
    about = [_Subject(name, {"sha256": digest.removeprefix("sha256:")}) for name in names or ["_"]]
    return msgspec.json.encode(_Document(_STATEMENT, statement.kind, about, statement.document), order="deterministic")


def beside(statements: Sequence[Statement], image: ImageId, prefix: str) -> dict[str, bytes]:
    """The files in which statements lie beside a tree (`type=local`, `tar`), by name; said of the image that the tree is of."""
    return {prefix + one.file: written(one, [], image) for one in statements}


def attestation_manifest(
    manifest: Descriptor, statements: Sequence[Statement], names: Sequence[str] = ()
) -> tuple[Descriptor, Mapping[str, bytes]]:
    """The manifest of what is said of `manifest`, as an entry of an index, and all that belongs to it, by digest."""
    blobs: dict[str, bytes] = {}
    layers = []
    for statement in statements:
        data = written(statement, names, manifest.digest)
        blobs[digest_of(data)] = data
        layers.append(Descriptor(IN_TOTO, digest_of(data), len(data), annotations={_PREDICATE_TYPE: statement.kind}))
    # A configuration that says nothing: clients that know no attestations look for one.
    nothing = Image(architecture="unknown", os="unknown", rootfs=RootFs(diff_ids=[layer.digest for layer in layers]))
    config = encode_image(nothing)
    blobs[digest_of(config)] = config
    document = msgspec.json.encode(ManifestDocument(Descriptor(OCI_CONFIG, digest_of(config), len(config)), layers))
    blobs[digest_of(document)] = document
    told = {_REFERENCE_DIGEST: manifest.digest, REFERENCE_TYPE: "attestation-manifest"}
    unknown = Platform("unknown", "unknown")
    return Descriptor(OCI_MANIFEST, digest_of(document), len(document), annotations=told, platform=unknown), blobs
