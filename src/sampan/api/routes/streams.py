"""What goes on for as long as a client listens: logs, attach, statistics, wait."""

from collections.abc import AsyncIterator
from dataclasses import replace

from sampan.api.backend import Backend, LogStream
from sampan.api.frames import SYSTEM_ERROR, multiplex, plain
from sampan.api.request import Request
from sampan.api.responses import (
    JSON,
    MULTIPLEXED_STREAM,
    NO_CONTENT,
    RAW_STREAM,
    Answer,
    Handover,
    Response,
    Stream,
    failure,
)
from sampan.api.routing import Route, Support
from sampan.api.websocket import BINARY, TEXT, BadHandshake, handshake
from sampan.errors import InvalidParameter, SampanError
from sampan.spec.containers import WaitExitError, WaitResponse
from sampan.spec.document import encode
from sampan.spec.requests import AttachOptions, LogOptions, WaitCondition


async def logs(request: Request, backend: Backend) -> Answer:
    """What it has written, and with `follow` what it goes on writing."""
    form = request.form
    stdout, stderr = form.flag("stdout"), form.flag("stderr")
    if not stdout and not stderr:
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    options = LogOptions(
        stdout=stdout,
        stderr=stderr,
        follow=form.flag("follow"),
        since=form.timestamp("since"),
        # A bare 0 is no bound; 0.0 is 1970, as in Docker.
        until=form.timestamp("until") if form.text("until") != "0" else None,
        timestamps=form.flag("timestamps"),
        details=form.flag("details"),
        tail=_tail(form.text("tail")),
    )
    found = await backend.containers.logs(request.name, options)
    multiplexed = not found.tty and request.version >= (1, 42)
    content_type = MULTIPLEXED_STREAM if multiplexed else RAW_STREAM
    return Stream(_pieces(found), content_type, carry=found.carry if found.outlives else None)


async def clear_log(request: Request, backend: Backend) -> Answer:
    """Begin its log anew."""
    await backend.containers.clear_log(request.name)
    return NO_CONTENT


def _tail(text: str) -> int | None:
    """As Docker reads it: what is no number, and any negative one, means all of them."""
    digits = text.removeprefix("+")
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 19 else None


async def _pieces(found: LogStream) -> AsyncIterator[bytes]:
    join = plain if found.tty else multiplex
    records = found.records()
    try:
        async for batch in records:
            yield join(batch)
    except SampanError as error:
        yield join([(SYSTEM_ERROR, f"Error grabbing logs: {error}\n".encode())])
    finally:
        close = getattr(records, "aclose", None)
        if close is not None:
            await close()


async def attach(request: Request, backend: Backend) -> Answer:
    """Give the client's connection to the container."""
    form = request.form
    options = AttachOptions(
        stream=form.flag("stream"),
        stdin=form.flag("stdin"),
        stdout=form.flag("stdout"),
        stderr=form.flag("stderr"),
        logs=form.flag("logs"),
        detach_keys=form.text("detachKeys") or None,
    )
    target = await backend.containers.attach(request.name, options)
    multiplexed = not target.tty and request.version >= (1, 42)
    return Handover(target, MULTIPLEXED_STREAM if multiplexed else RAW_STREAM)


async def attach_websocket(request: Request, backend: Backend) -> Answer:
    """The same with frames in place of a bare connection; output does not say which stream it is, as in Docker."""
    form = request.form
    chosen = request.version >= (1, 42)
    options = AttachOptions(
        stream=form.flag("stream"),
        stdin=form.flag("stdin") if chosen else True,
        stdout=form.flag("stdout") if chosen else True,
        stderr=form.flag("stderr") if chosen else True,
        logs=form.flag("logs"),
        detach_keys=form.text("detachKeys") or None,
        multiplexed=False,
    )
    target = await backend.containers.attach(request.name, options)
    try:
        upgrade = handshake(request.headers, BINARY if request.version >= (1, 28) else TEXT)
    except BadHandshake as error:
        return replace(failure(error), headers=(("Sec-WebSocket-Version", "13"),))
    return Handover(target, RAW_STREAM, upgrade)


async def stats(request: Request, backend: Backend) -> Answer:
    """What it uses, a line each second, or once."""
    stream = request.form.flag("stream", True)
    one_shot = request.version >= (1, 41) and request.form.flag("one-shot")
    lines = await backend.containers.stats(request.name, stream, one_shot)
    if stream:
        return Stream(lines, JSON)
    return Response(200, b"".join([line async for line in lines]))


async def wait(request: Request, backend: Backend) -> Answer:
    """Wait for its end. The head is sent at once: clients start the container only when they have seen it."""
    condition = WaitCondition.NOT_RUNNING
    if request.version >= (1, 30) and (text := request.form.text("condition")):
        try:
            condition = WaitCondition(text)
        except ValueError as error:
            raise InvalidParameter(f'invalid condition: "{text}"') from error
    ending = await backend.containers.wait(request.name, condition)

    async def body() -> AsyncIterator[bytes]:
        try:
            ended = await ending
        except SampanError as error:
            ended = WaitResponse(status_code=-1, error=WaitExitError(message=str(error)))
        # Before 1.34 a failed removal was told by an empty body.
        if ended.error is None or condition is not WaitCondition.REMOVED or request.version >= (1, 34):
            yield encode(ended) + b"\n"

    if request.version < (1, 30):
        return Response(200, b"".join([piece async for piece in body()]))
    return Stream(body(), JSON)


ROUTES = (
    Route("GET", "/containers/{name}/logs", logs, follows=True),
    Route("DELETE", "/containers/{name}/sampan/logs", clear_log, Support.OWN, "`sampan logs --clear`"),
    Route("POST", "/containers/{name}/attach", attach),
    Route("GET", "/containers/{name}/attach/ws", attach_websocket),
    Route("GET", "/containers/{name}/stats", stats, follows=True),
    Route("POST", "/containers/{name}/wait", wait, follows=True),
)
