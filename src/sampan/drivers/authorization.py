"""Authorization drivers: each request to the daemon, and each answer, is let through by them or is not.

Source: Docker's "Access authorization plugin". Entry points: `sampan.authorization`.
"""

from base64 import b64decode
from typing import Protocol

from sampan.drivers.calls import Call, Calls
from sampan.spec.document import Document, sent

KIND = "authz"


class Verdict(Document, frozen=True):
    """`message` is the reason of a refusal, which the client is told."""

    allow: bool = sent(False)
    message: str = ""


class Request(Document, frozen=True):
    """A request as it came. `uri` is the path with its query; `body` is empty where it is not shown, e.g. an upload's.

    `user` is who a TLS certificate names, "" where the socket's owner is all that is known.
    """

    user: str = ""
    method: str = ""
    uri: str = ""
    headers: dict[str, str] = sent({})
    body: bytes = b""


class Response(Document, frozen=True):
    """The answer that the client would get."""

    status: int = 0
    headers: dict[str, str] = sent({})
    body: bytes = b""


class AuthorizationDriver(Protocol):
    """Called from several threads at once. What a method raises is a refusal: in doubt nobody is let through."""

    def request(self, request: Request) -> Verdict:
        """Whether the daemon is to do it."""
        ...

    def response(self, request: Request, response: Response) -> Verdict:
        """Whether the client is to see what came of it. It is done by then."""
        ...


class _Asked(Document, frozen=True):
    """Bodies are base64, as Go writes bytes."""

    user: str = ""
    request_method: str = ""
    request_uri: str = ""
    request_headers: dict[str, str] | None = None
    request_body: str | None = None
    response_status_code: int = 0
    response_headers: dict[str, str] | None = None
    response_body: str | None = None


class _Answer(Document, frozen=True):
    allow: bool = sent(False)
    msg: str = sent("")


def calls(driver: AuthorizationDriver) -> Calls:
    """What the plugin protocol asks of an authorization driver, answered by `driver`."""
    return {
        "AuthZPlugin.AuthZReq": Call(_Asked, lambda asked: _said(driver.request(_request(asked)))),
        "AuthZPlugin.AuthZRes": Call(_Asked, lambda asked: _said(driver.response(_request(asked), _response(asked)))),
    }


def _request(asked: _Asked) -> Request:
    return Request(
        user=asked.user,
        method=asked.request_method,
        uri=asked.request_uri,
        headers=asked.request_headers or {},
        body=_body(asked.request_body),
    )


def _response(asked: _Asked) -> Response:
    return Response(asked.response_status_code, asked.response_headers or {}, _body(asked.response_body))


def _body(text: str | None) -> bytes:
    return b64decode(text or "", validate=True)


def _said(verdict: Verdict) -> _Answer:
    return _Answer(verdict.allow, verdict.message)
