"""Signs images as cosign does, with a key made here."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sampan.spec.oci_image import OCI_CONFIG, OCI_MANIFEST

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"


class Signer:
    """One key pair."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> bytes:
        """In PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, digest: str, name: str, kind: str = "cosign container image signature") -> tuple[bytes, str]:
        """A payload, and its signature as the annotation has it."""
        critical = {"type": kind, "image": {"docker-manifest-digest": digest}, "identity": {"docker-reference": name}}
        payload = json.dumps({"critical": critical, "optional": None}).encode()
        return payload, base64.b64encode(self._key.sign(payload, ec.ECDSA(SHA256()))).decode()


def manifest(config: dict[str, object], *layers: dict[str, object]) -> bytes:
    """What lies under the tag of the signatures."""
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {**config, "mediaType": OCI_CONFIG}}
    return json.dumps({**document, "layers": layers}).encode()
