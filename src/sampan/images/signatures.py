"""Signatures of images as cosign makes them with a key: found beside the image in its repository, verified before a layer comes.

image's digest ─▶ tag `sha256-HEX.sig`, and referrers ─▶ manifest ─▶ each layer: a payload, its signature in an annotation
                                                                        │ ECDSA P-256 by one of the policy's keys
                                                                        ▼
                                                       payload names this digest and this repository ─▶ accepted

Source: cosign's SIGNATURE_SPEC.md; containers-signature(5) for the payload.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from sampan.errors import Forbidden, InvalidParameter, NotFound
from sampan.images.policy import Policy, Requirement
from sampan.images.references import Reference, parse_reference
from sampan.registry.protocol import Source
from sampan.spec.ids import digest_of, parse_digest
from sampan.spec.oci_image import Descriptor, decode_manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
_TYPE = "cosign container image signature"
_PAYLOAD_LIMIT = 1 << 16
_MANIFESTS, _SIGNATURES = 20, 50


class _Image(msgspec.Struct, frozen=True, rename="kebab"):
    docker_manifest_digest: str


class _Identity(msgspec.Struct, frozen=True, rename="kebab"):
    docker_reference: str


class _Critical(msgspec.Struct, frozen=True):
    type: str
    image: _Image
    identity: _Identity


class _Payload(msgspec.Struct, frozen=True):
    critical: _Critical


def check(policy: Policy, repository: Source, reference: Reference, digests: Sequence[str]) -> None:
    """Refuse an image that the policy does not want. `digests`: the index it came by and its manifest, either may be signed.

    Raises Forbidden, which says why; what the repository raises where it cannot be asked.
    """
    for requirement in policy.requirements(reference):
        if requirement.keys:
            _check(requirement, repository, reference, digests)
        elif not requirement.accepted:
            raise Forbidden(f"Source image rejected: {reference.familiar} is rejected by policy.")


def _check(requirement: Requirement, repository: Source, reference: Reference, digests: Sequence[str]) -> None:
    reasons: list[str] = []
    for digest in dict.fromkeys(digests):
        for payload, signature in _signatures(repository, digest):
            fault = _fault(requirement, reference, digest, payload, signature)
            if not fault:
                return
            reasons.append(fault)
    why = f"None of the signatures were accepted, reasons: {'; '.join(dict.fromkeys(reasons))}"
    raise Forbidden(f"Source image rejected: {why if reasons else 'A signature was required, but no signature exists'}")


def _signatures(repository: Source, digest: str) -> Iterator[tuple[bytes, bytes]]:
    """Payloads and what is said to be their signatures; a bounded number."""
    left = _SIGNATURES
    for described in _manifests(repository, digest):
        manifest = decode_manifest(repository.manifest(described))
        for layer in manifest.layers or ():
            text = (layer.annotations or {}).get(_SIGNATURE, "")
            if layer.media_type != _PAYLOAD or not text or layer.size > _PAYLOAD_LIMIT:
                continue
            if not left:
                return
            left -= 1
            try:
                signature = base64.b64decode(text, validate=True)
            except binascii.Error:
                signature = b""
            with repository.blob(layer) as stream:
                payload = stream.read(_PAYLOAD_LIMIT)
            if digest_of(payload) == layer.digest:
                yield payload, signature


def _manifests(repository: Source, digest: str) -> Iterator[Descriptor]:
    checked = parse_digest(digest)
    try:
        yield repository.resolve(checked.replace(":", "-") + ".sig")
    except NotFound:
        pass  # the older of the two places; the newer is asked in any case
    for number, described in enumerate(repository.referrers(checked, _ARTIFACT)):
        if number == _MANIFESTS:
            return
        yield described


def _fault(requirement: Requirement, reference: Reference, digest: str, payload: bytes, signature: bytes) -> str:
    """Why the signature does not count; "" where it does."""
    if not any(_verifies(key, payload, signature) for key in requirement.keys):
        return "cryptographic signature verification failed: invalid signature when validating ASN.1 encoded signature"
    try:
        critical = msgspec.json.decode(payload, type=_Payload).critical
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"the signed payload is malformed: {error}"
    if critical.type != _TYPE:
        return f"unrecognized signature type {critical.type!r}"
    if critical.image.docker_manifest_digest != digest:
        return f"signature for docker digest {critical.image.docker_manifest_digest!r} is not for {digest!r}"
    signed = critical.identity.docker_reference
    if not _is_meant(requirement, reference, signed):
        return f"signature for identity {signed!r} is not accepted ({requirement.identity})"
    return ""


def _is_meant(requirement: Requirement, reference: Reference, signed: str) -> bool:
    try:
        given = parse_reference(signed)
        wanted = parse_reference(requirement.repository) if requirement.repository else reference
    except InvalidParameter:
        return False
    if given.name != wanted.name:
        return False
    if requirement.identity in ("matchRepository", "exactRepository"):
        return True
    if reference.digest is not None:
        return requirement.identity == "matchRepoDigestOrExact"
    return given.tag == reference.with_default_tag().tag


def public_key(pem: bytes) -> "EllipticCurvePublicKey":
    """A key of ECDSA on P-256. Raises ValueError for any other, InvalidParameter where the library for it is not installed."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise InvalidParameter(
            "the signature policy asks for signatures, for which Python's package 'cryptography' is needed: "
            "pip install 'sampan[signatures]'"
        ) from error
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("it is not one of ECDSA on P-256")
    return key


def _verifies(pem: bytes, payload: bytes, signature: bytes) -> bool:
    key = public_key(pem)
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, payload, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
