"""A request that authorization plugins judge: before it is carried out, and again before what it gave is told."""

import logging
import ssl
from collections.abc import Awaitable, Callable

from sampan.api.request import Request
from sampan.api.responses import JSON, Answer, Handover, Response
from sampan.api.routing import Route
from sampan.api.status import TooLarge
from sampan.errors import SampanError, System
from sampan.plugins.authorization import BODY_LIMIT, Gate, Shown, headers_shown, with_answer

_log = logging.getLogger("sampan.api")
_UNSEEN = f"{{}} body too large for authorization plugin: size exceeds {BODY_LIMIT} bytes"
"""Docker's words for what no plugin was shown, and what therefore does not pass."""


async def authorized(gate: Gate, request: Request, route: Route, carry_out: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer, if every plugin lets request and answer pass. Raises Denied, TooLarge, System.

    A stream and a connection that is given away are judged before their first byte: Docker asks when they have ended, and
    can keep nothing back by then.
    """
    shown = await _shown(request, route)
    await gate.request(shown)
    try:
        answer = await carry_out()
    except SampanError:
        # As in Docker the plugins hear that there was an answer, without any of it, and cannot change it.
        try:
            await gate.response(shown)
        except SampanError as error:
            _log.warning("%s %s: %s", request.method, request.path, error)
        raise
    try:
        await gate.response(_with_answer(shown, answer, route))
    except BaseException:
        close = getattr(getattr(answer, "chunks", None), "aclose", None)
        if close is not None:
            await close()
        raise
    return answer


async def _shown(request: Request, route: Route) -> Shown:
    body = b""
    if request.is_json and not _is_login(route):
        try:
            body = await request.keep(BODY_LIMIT)
        except TooLarge as error:
            raise TooLarge(_UNSEEN.format("request")) from error
    name, certificates = _peer(request.tls)
    return Shown(
        user=name,
        user_authn_method="TLS" if certificates else "",
        request_method=request.method,
        request_uri=f"{request.path}?{request.query}" if request.query else request.path,
        request_body=body,
        request_headers=headers_shown(
            {
                key.decode("latin-1"): value.decode("latin-1")
                for key, value in request.headers.items()
                if key not in (b"host", b"transfer-encoding")
            }
        ),
        request_peer_certificates=certificates,
    )


def _with_answer(shown: Shown, answer: Answer, route: Route) -> Shown:
    if isinstance(answer, Handover):
        return with_answer(shown, 101, {"Content-Type": answer.content_type}, b"")
    headers = {"Content-Type": answer.content_type, **dict(answer.headers)}
    body = b""
    if isinstance(answer, Response) and answer.content_type == JSON and not _is_login(route):
        body = answer.body
    if len(body) > BODY_LIMIT:
        raise System(_UNSEEN.format("response"))
    return with_answer(shown, answer.status, headers, body)


def _is_login(route: Route) -> bool:
    """What holds a password, or a token for one, is shown to nobody."""
    return route.path == "/auth"


def _peer(tls: ssl.SSLObject | None) -> tuple[str, tuple[bytes, ...]]:
    """The common name of the client's certificate, which was verified, and it itself as PEM; nothing without one."""
    found = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or not found:
        return "", ()
    fields = (tls.getpeercert() or {}).get("subject", ())
    pairs = [pair for group in fields if isinstance(group, tuple) for pair in group]
    name = next((str(pair[1]) for pair in pairs if pair[0] == "commonName"), "")
    return name, (ssl.DER_cert_to_PEM_cert(found).encode(),)
