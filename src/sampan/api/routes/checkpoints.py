"""Checkpoints of containers. In Docker they are part of experimental mode, and not of its published schema."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import NO_CONTENT, Answer, Response, json_response
from sampan.api.routing import Route, Support
from sampan.spec.checkpoints import CheckpointCreateRequest, CheckpointSummary
from sampan.spec.decoding import Reader

_CREATE = Reader(CheckpointCreateRequest)
_CREATED = Response(201, b"", "")
_NOTE = (
    "in experimental mode, by the host's `criu`, on hosts with control groups v2 alone; not of containers with a terminal, "
    "with `--init` or in another's namespaces"
)


async def create(request: Request, backend: Backend) -> Answer:
    """Make one of a running container, which ends with it or goes on."""
    await backend.checkpoints.create(request.name, await request.json(_CREATE))
    return _CREATED


async def list_all(request: Request, backend: Backend) -> Answer:
    """A container's checkpoints; null where there is none, as in Docker."""
    found = await backend.checkpoints.names(request.name, request.form.text("dir"))
    return json_response([CheckpointSummary(name=name) for name in found] or None)


async def remove(request: Request, backend: Backend) -> Answer:
    """Remove one."""
    container, _, checkpoint = request.name.rpartition("/checkpoints/")
    await backend.checkpoints.remove(container, checkpoint, request.form.text("dir"))
    return NO_CONTENT


ROUTES = (
    Route("POST", "/containers/{name}/checkpoints", create, Support.PARTIAL, _NOTE),
    Route("GET", "/containers/{name}/checkpoints", list_all),
    Route("DELETE", "/containers/{name}/checkpoints/{checkpoint}", remove),
)
