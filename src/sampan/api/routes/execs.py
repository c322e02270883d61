"""More processes in running containers."""

import msgspec

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import EMPTY, MULTIPLEXED_STREAM, RAW_STREAM, Answer, Handover, json_response
from sampan.api.routing import Route
from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader
from sampan.spec.execs import ExecCreateRequest, ExecStartRequest

_CREATE = Reader(ExecCreateRequest)
_START = Reader(ExecStartRequest)


async def create(request: Request, backend: Backend) -> Answer:
    """Prepare one."""
    body = await request.json(_CREATE)
    if not body.cmd:
        raise InvalidParameter("No exec command specified")
    if request.version < (1, 42):
        body = msgspec.structs.replace(body, console_size=None)
    return json_response(await backend.execs.create(request.name, body), 201)


async def start(request: Request, backend: Backend) -> Answer:
    """Run it: detached, or with its streams on this connection."""
    body = await request.json(_START)
    if body.console_size is not None and (request.version < (1, 42) or not body.tty):
        body = msgspec.structs.replace(body, console_size=None)
    if body.detach:
        await backend.execs.start_detached(request.name, body)
        return EMPTY
    target = await backend.execs.start(request.name, body)
    multiplexed = not body.tty and request.version >= (1, 42)
    return Handover(target, MULTIPLEXED_STREAM if multiplexed else RAW_STREAM)


async def resize(request: Request, backend: Backend) -> Answer:
    """Set the size of its terminal."""
    rows, columns = request.form.size("h", "height"), request.form.size("w", "width")
    await backend.execs.resize(request.name, rows, columns)
    return EMPTY


async def inspect(request: Request, backend: Backend) -> Answer:
    """How it stands."""
    return json_response(await backend.execs.inspect(request.name))


ROUTES = (
    Route("POST", "/containers/{name}/exec", create),
    Route("POST", "/exec/{name}/start", start),
    Route("POST", "/exec/{name}/resize", resize),
    Route("GET", "/exec/{name}/json", inspect),
)
