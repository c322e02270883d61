"""Credentials as a client hands them over with a request: the header X-Registry-Auth, base64url of JSON."""

import base64
import binascii
from collections.abc import Mapping

from sampan.errors import InvalidParameter
from sampan.registry.names import HUB, HUB_HOST, HUB_INDEX, HUB_INDEX_NAME
from sampan.registry.protocol import Credentials
from sampan.spec.decoding import Reader
from sampan.spec.registries import AuthConfig

_LIMIT = 1 << 20


_READER = Reader(AuthConfig)
_REGISTRIES = Reader(dict[str, AuthConfig])


def lenient_auth(header: str) -> Credentials:
    """The credentials in the header's value; nobody's where it is empty, or is none: as Docker has it for pull and push."""
    if not header:
        return Credentials()
    try:
        return credentials_of(_READER.read(_decoded(header, b"-_")))
    except (InvalidParameter, ValueError):
        return Credentials()


def registry_config(header: str) -> dict[str, AuthConfig]:
    """The logins in X-Registry-Config, by registry; none where it is empty, or is none, as Docker has it."""
    try:
        return _REGISTRIES.read(_decoded(header, b"-_")) if header else {}
    except (InvalidParameter, ValueError):
        return {}


def credentials_of(given: AuthConfig) -> Credentials:
    """The credentials that a login is. Raises ValueError where `auth` is none."""
    username, password = given.username, given.password
    if given.auth and not username:
        username, _, password = _decoded(given.auth, None).decode().partition(":")
    return Credentials(username, password, given.identitytoken, given.registrytoken)


def credentials_for(known: Mapping[str, Credentials], domain: str) -> Credentials:
    """Those of a registry among logins by name, as clients' files call it; nobody's where there are none."""
    names = (HUB, HUB_INDEX, HUB_INDEX_NAME, HUB_HOST) if domain == HUB else (domain,)
    return next((known[name] for name in names if name in known), Credentials())


def _decoded(text: str, altchars: bytes | None) -> bytes:
    if len(text) > _LIMIT:
        raise ValueError("too long")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
