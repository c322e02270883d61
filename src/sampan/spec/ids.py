"""Identifiers with types of their own, and what each may look like."""

import hashlib
import os
import re
from typing import NewType

from sampan.errors import InvalidParameter

ContainerId = NewType("ContainerId", str)
"""64 lower-case hex digits, drawn at random when a container is created."""
ExecId = NewType("ExecId", str)
"""64 lower-case hex digits."""
NetworkId = NewType("NetworkId", str)
"""64 lower-case hex digits."""
ImageId = NewType("ImageId", str)
"""`sha256:` and the digest of the image's configuration."""
Digest = NewType("Digest", str)
"""`sha256:` and 64 hex digits: names bytes as they lie in the content store."""
DiffId = NewType("DiffId", str)
"""Digest of a layer's uncompressed tar."""
ChainId = NewType("ChainId", str)
"""Digest that names a stack of layers (OCI image-spec, "Layer ChainID")."""
InstanceId = NewType("InstanceId", str)
"""12 hex digits of the sha256 of the data root's real path: labels everything that one daemon makes on the host."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def new_id() -> str:
    """64 random hex digits whose first twelve are not all decimal (a short id must not read as a number, as in Docker)."""
    while True:
        candidate = os.urandom(32).hex()
        if not candidate[:12].isdecimal():
            return candidate


def parse_digest(text: str) -> Digest:
    """`text` as a digest; raises InvalidParameter for another algorithm, upper case or a wrong length."""
    if not _DIGEST.fullmatch(text):
        raise InvalidParameter(f"invalid digest {text!r}")
    return Digest(text)


def digest_of(data: bytes) -> Digest:
    """The digest that names `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def is_container_name(text: str) -> bool:
    """Whether Docker would take `text` as a container's name (a leading slash is allowed)."""
    return _NAME.fullmatch(text) is not None
