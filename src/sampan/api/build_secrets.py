"""Secrets, agents and other contexts of a build: Sampan's own parameters of `POST /build`, and the header with values."""

import base64
import binascii
from collections.abc import Mapping

import msgspec

from sampan.api.form import Form
from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader

HEADER = b"x-build-secrets"


class _Secret(msgspec.Struct, rename={"id": "ID"}, forbid_unknown_fields=True):
    id: str


class _Agent(msgspec.Struct, rename={"id": "ID", "socket": "Socket"}, forbid_unknown_fields=True):
    id: str
    socket: str


_SECRETS, _AGENTS = Reader(tuple[_Secret, ...]), Reader(tuple[_Agent, ...])
_VALUES, _CONTEXTS = Reader(dict[str, str]), Reader(dict[str, str])
_NAMES = Reader(tuple[str, ...])


def secret_names(form: Form) -> tuple[str, ...]:
    """The ids in `secrets`. Raises InvalidParameter."""
    return tuple(one.id for one in form.document("secrets", _SECRETS, "error reading secrets") or ())


def secret_values(headers: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """What X-Build-Secrets holds: base64url of {id: base64}. Raises InvalidParameter, in which no value is told."""
    text = headers.get(HEADER, b"")
    if not text:
        return {}
    try:
        found = _VALUES.read(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
        return {name: base64.b64decode(value, validate=True) for name, value in found.items()}
    except (binascii.Error, ValueError, InvalidParameter):
        raise InvalidParameter("X-Build-Secrets is not base64 of an object of base64 texts") from None


def agents(form: Form) -> dict[str, str]:
    """The sockets in `ssh`, by id; absolute paths on this machine. Raises InvalidParameter."""
    found = {one.id: one.socket for one in form.document("ssh", _AGENTS, "error reading ssh") or ()}
    for name, socket in found.items():
        if not socket.startswith("/") or "\0" in socket:
            raise InvalidParameter(f"invalid ssh agent {name}: its socket is an absolute path on the daemon's machine")
    return found


def contexts(form: Form) -> dict[str, str]:
    """The named contexts. Raises InvalidParameter."""
    return form.document("contexts", _CONTEXTS, "error reading contexts") or {}


def layout(form: Form) -> str:
    """How the body is laid out. Raises InvalidParameter."""
    text = form.text("layout")
    if text not in ("", "named"):
        raise InvalidParameter(f"invalid layout {text[:100]}: named, or none")
    return text


def stamp(form: Form) -> str:
    """What the client calls its files. Raises InvalidParameter."""
    text = form.text("context")
    if text and (len(text) != 64 or set(text) - set("0123456789abcdef")):
        raise InvalidParameter(f"invalid context {text[:100]}: 64 hexadecimal digits")
    if form.flag("kept") and not text:
        raise InvalidParameter("kept=1 needs a context that is named")
    return text


def entitlements(form: Form) -> tuple[str, ...]:
    """What the client allows. Raises InvalidParameter."""
    return form.document("entitlements", _NAMES, "error reading entitlements") or ()
