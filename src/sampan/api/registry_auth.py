"""`X-Registry-Auth`: the login that comes with a request which goes on to a registry."""

import binascii
from base64 import urlsafe_b64decode

from sampan.api.request import Request
from sampan.errors import InvalidParameter
from sampan.registry.protocol import Credentials
from sampan.spec.decoding import Reader
from sampan.spec.registries import AuthConfig

_READER = Reader(AuthConfig)
_HEADER = b"x-registry-auth"


def credentials(request: Request) -> Credentials:
    """What the header says; nobody where it is missing or cannot be read: Docker ignores a malformed one everywhere."""
    raw = request.headers.get(_HEADER, b"")
    if not raw:
        return Credentials()
    try:
        given = _READER.read(urlsafe_b64decode(raw))
    except (binascii.Error, ValueError, InvalidParameter):
        return Credentials()
    return Credentials(given.username, given.password, given.identitytoken, given.registrytoken)
