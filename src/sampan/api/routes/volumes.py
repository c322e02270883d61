"""Volumes."""

import msgspec

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import NO_CONTENT, Answer, Stream, json_response
from sampan.api.routing import Route, Support
from sampan.errors import NotFound, Unavailable
from sampan.spec.decoding import Reader
from sampan.spec.volumes import VolumeCreateRequest

_CREATE = Reader(VolumeCreateRequest)


async def list_all(request: Request, backend: Backend) -> Answer:
    """Volumes."""
    return json_response(await backend.volumes.list(request.form.filters()))


async def create(request: Request, backend: Backend) -> Answer:
    """Make one."""
    return json_response(await backend.volumes.create(await request.json(_CREATE)), 201)


async def inspect(request: Request, backend: Backend) -> Answer:
    """One volume."""
    if not request.name:
        raise NotFound("page not found")
    return json_response(await backend.volumes.inspect(request.name))


async def update(_request: Request, _backend: Backend) -> Answer:
    """Only cluster volumes can be updated."""
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


async def remove(request: Request, backend: Backend) -> Answer:
    """Remove it."""
    await backend.volumes.remove(request.name, request.form.flag("force"))
    return NO_CONTENT


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove what nothing uses; before 1.42 that meant named volumes, too."""
    filters = request.form.filters()
    if request.version < (1, 42):
        filters = {**filters, "all": ("true",)}
    report = await backend.volumes.prune(filters)
    return json_response(msgspec.structs.replace(report, volumes_deleted=report.volumes_deleted or ()))


async def archive(request: Request, backend: Backend) -> Answer:
    """Its files as a tar."""
    return Stream(await backend.volumes.archive(request.name), "application/x-tar")


async def unpack(request: Request, backend: Backend) -> Answer:
    """A tar over its files."""
    await backend.volumes.unpack(request.name, request.stream())
    return NO_CONTENT


ROUTES = (
    Route("GET", "/volumes", list_all),
    Route("POST", "/volumes/create", create),
    Route("GET", "/volumes/{name}", inspect),
    Route("PUT", "/volumes/{name}", update, Support.SWARM),
    Route("DELETE", "/volumes/{name}", remove),
    Route("POST", "/volumes/prune", prune),
    Route("GET", "/volumes/{name}/sampan/archive", archive, Support.OWN, "`sampan volume export`", follows=True),
    Route("PUT", "/volumes/{name}/sampan/archive", unpack, Support.OWN, "`sampan volume import`"),
)
