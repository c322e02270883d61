"""Credentials as a client hands them over with a request: the header X-Registry-Auth, base64url of JSON."""

import base64
import binascii

import msgspec

from sampan.errors import InvalidParameter
from sampan.registry.protocol import Credentials

_LIMIT = 1 << 20


class _AuthConfig(msgspec.Struct, frozen=True):
    username: str | None = None
    password: str | None = None
    auth: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None


_decoder = msgspec.json.Decoder(_AuthConfig)


def decode_auth(header: str) -> Credentials:
    """The credentials in the header's value; nobody's where it is empty. Raises InvalidParameter for what is none."""
    if not header:
        return Credentials()
    try:
        given = _decoder.decode(_decoded(header, b"-_"))
        username, password = given.username or "", given.password or ""
        if given.auth and not username:
            username, _, password = _decoded(given.auth, None).decode().partition(":")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid X-Registry-Auth header: {error}") from error
    return Credentials(username, password, given.identitytoken or "", given.registrytoken or "")


def lenient_auth(header: str) -> Credentials:
    """The same; what is none counts as nobody's, as Docker has it for pull and push."""
    try:
        return decode_auth(header)
    except InvalidParameter:
        return Credentials()


def _decoded(text: str, altchars: bytes | None) -> bytes:
    if len(text) > _LIMIT:
        raise ValueError("too long")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
