"""How a registry says no, read and told in Docker's words (moby's distribution/errors.go, distribution's errcode).

    answer ──▶ refusal() ──▶ Refused ──▶ of_pull() ──▶ NotFound, or as it was

Docker answers a failed pull with 404 where the image is unknown or denied, and with 500 for everything else: so everything
else is a kind of System.
"""

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from sampan.errors import NotFound, SampanError, System
from sampan.registry.challenges import Challenge
from sampan.registry.names import familiar

DEFAULT_MESSAGES = {
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "NAME_UNKNOWN": "repository name not known to registry",
    "NAME_INVALID": "invalid repository name",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UPLOAD_UNKNOWN": "blob upload unknown to registry",
    "BLOB_UPLOAD_INVALID": "blob upload invalid",
    "DIGEST_INVALID": "provided digest did not match uploaded content",
    "SIZE_INVALID": "provided length did not match content length",
    "TAG_INVALID": "manifest tag did not match URI",
    "MANIFEST_INVALID": "manifest invalid",
    "MANIFEST_UNVERIFIED": "manifest failed signature verification",
    "MANIFEST_BLOB_UNKNOWN": "blob unknown to registry",
    "UNSUPPORTED": "The operation is unsupported.",
    "UNAVAILABLE": "service unavailable",
    "TOOMANYREQUESTS": "too many requests",
    "RANGE_INVALID": "invalid content range",
    "PAGINATION_NUMBER_INVALID": "invalid number of results requested",
    "UNKNOWN": "unknown error",
}
_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One code of distribution's specification, with the registry's words about it."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code.lower().replace('_', ' ')}: {self.message}"


class Refused(System):
    """A registry answered, and not with what was asked for. `faults` may be empty."""

    def __init__(self, text: str, status: int, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.faults = faults

    @property
    def code(self) -> str:
        """The first fault's code, or ""."""
        return self.faults[0].code if self.faults else ""


class UnknownImage(NotFound):
    """The image that was asked for is not there, or not for this user; `said` is what the registry said."""

    def __init__(self, text: str, said: Refused) -> None:
        super().__init__(text)
        self.said = said


class Unreachable(System):
    """No answer came: nobody there, no trust, a time-out, a broken connection. `late`: it may come if asked again."""

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late
        self.by_tls = ""
        """why TLS had failed, where clear text was tried after it"""


class Untrustworthy(System):
    """The registry's answer makes no sense, or leads where credentials and requests do not go."""


class _Error(msgspec.Struct, frozen=True):
    code: str | None = None
    message: str | None = None


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error] | None = None
    details: str | None = None


_decoder = msgspec.json.Decoder(_Errors)


def refusal(status: int, challenges: tuple[Challenge, ...], body: bytes) -> Refused:
    """What an answer of 400 and more says."""
    if status >= 500:
        return Refused(f"received unexpected HTTP status: {status} {reason(status)}", status)
    faults = _of_challenges(challenges) + _of_body(status, body)
    if faults:
        return Refused(told(faults), status, faults)
    if status == 401:
        return refused_as("UNAUTHORIZED", status)
    return Refused(_unreadable(status, body), status)


def refused_as(code: str, status: int, message: str = "") -> Refused:
    """A refusal with one code and its usual message."""
    fault = Fault(code, message or DEFAULT_MESSAGES[code])
    return Refused(str(fault), status, (fault,))


def told(faults: tuple[Fault, ...]) -> str:
    """Several faults as distribution prints them."""
    if len(faults) == 1:
        return str(faults[0])
    return "errors:\n" + "".join(f"{fault}\n" for fault in faults)


def _of_challenges(challenges: tuple[Challenge, ...]) -> tuple[Fault, ...]:
    """RFC 6750, section 3.1: the reason may stand in the challenge."""
    codes = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}
    for challenge in challenges:
        code = codes.get(challenge.parameters.get("error", ""))
        if challenge.scheme == "bearer" and code:
            message = challenge.parameters.get("error_description", "") or DEFAULT_MESSAGES[code]
            return (Fault(code, _printable(message)),)
    return ()


def _of_body(status: int, body: bytes) -> tuple[Fault, ...]:
    try:
        document = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ()
    if document.details:
        code = {401: "UNAUTHORIZED", 429: "TOOMANYREQUESTS"}.get(status, "UNKNOWN")
        return (Fault(code, _printable(document.details)),)
    return tuple(_fault(error) for error in (document.errors or ())[:10])


def _fault(error: _Error) -> Fault:
    code = error.code if error.code in DEFAULT_MESSAGES else "UNKNOWN"
    return Fault(code, _printable(error.message or "") or DEFAULT_MESSAGES[code])


def _unreadable(status: int, body: bytes) -> str:
    """What Docker says of a body that says nothing to it; but too many requests are named as such, whoever wrote the page."""
    shown = _printable(body[:_SHOWN].decode("utf-8", "replace"))
    if status == 429:
        return f"toomanyrequests: {shown or DEFAULT_MESSAGES['TOOMANYREQUESTS']}"
    return f'error parsing HTTP {status} response body: {_fault_in(body, shown)}: "{shown}"'


def _fault_in(body: bytes, shown: str) -> str:
    """What is wrong with a body, as Go's decoder says it."""
    if not body.strip():
        return "unexpected end of JSON input"
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        first = shown.lstrip()[:1]
        if first not in '{["-0123456789tfn':
            return f"invalid character '{first}' looking for beginning of value"
        return str(error)
    return "no error details found in HTTP response body"


def _printable(text: str) -> str:
    """A registry's words without what moves a terminal's cursor, and not too many of them."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text[:_SHOWN])


def reason(status: int) -> str:
    """The words of a status, empty for one that nobody has named."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def of_pull(error: SampanError, domain: str, path: str, suffix: str = "") -> SampanError:
    """The error that a pull ends with; `suffix` is the `:tag` or `@digest` that was asked for."""
    if not isinstance(error, Refused):
        return error
    name = familiar(domain, path)
    match error.code:
        case "DENIED":
            text = f"pull access denied for {name}, repository does not exist or may require 'docker login'"
        case "MANIFEST_UNKNOWN":
            text = f"manifest for {name}{suffix} not found"
        case "NAME_UNKNOWN":
            text = f"repository {name} not found"
        case _:
            return error
    return UnknownImage(f"{text}: {error.faults[0]}", error)
