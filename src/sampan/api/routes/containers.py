"""Containers: all verbs but create, whose body has a module of its own, and the streams, which are in `streams.py`."""

from dataclasses import replace as replace_option

import msgspec

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import EMPTY, NO_CONTENT, Answer, json_response
from sampan.api.routing import Route, Support
from sampan.api.versions import Version
from sampan.errors import Conflict, InvalidParameter, NotFound, SampanError
from sampan.spec.containers import ContainerInspect, ContainerSummary
from sampan.spec.decoding import Reader
from sampan.spec.host_config import UpdateRequest
from sampan.spec.requests import ContainerListOptions, RemoveOptions, StartOptions

_UPDATE = Reader(UpdateRequest)
_PREDEFINED_NETWORKS = frozenset(("bridge", "host", "none", "default"))


async def list_all(request: Request, backend: Backend) -> Answer:
    """Containers, newest first."""
    form = request.form
    options = ContainerListOptions(form.flag("all"), -1, form.flag("size"), form.filters())
    limit = form.integer("limit")
    if limit is not None:
        options = replace_option(options, limit=limit)
    for old in ("since", "before"):
        # Before there were filters (and still in docker-py) these were fields of their own.
        if form.text(old):
            options = replace_option(options, filters={**options.filters, old: (form.text(old),)})
    found = await backend.containers.list(options)
    return json_response([_summary_for(container, request.version) for container in found])


def _summary_for(container: ContainerSummary, version: Version) -> ContainerSummary:
    if version < (1, 46) and container.host_config.annotations is not None:
        host = msgspec.structs.replace(container.host_config, annotations=None)
        container = msgspec.structs.replace(container, host_config=host)
    if version < (1, 48) and container.image_manifest_descriptor is not None:
        container = msgspec.structs.replace(container, image_manifest_descriptor=None)
    return container


async def inspect(request: Request, backend: Backend) -> Answer:
    """Everything about one container."""
    found = await backend.containers.inspect(request.name, request.form.flag("size"))
    return json_response(_inspect_for(found, request.version))


def _inspect_for(container: ContainerInspect, version: Version) -> ContainerInspect:
    replace = msgspec.structs.replace
    if version < (1, 48) and container.image_manifest_descriptor is not None:
        container = replace(container, image_manifest_descriptor=None)
    if version < (1, 45):
        settings = container.network_settings
        more = (container.id[:12], container.config.hostname)
        networks = {
            name: end
            if name in _PREDEFINED_NETWORKS or name.startswith("container:")
            else replace(end, aliases=tuple(dict.fromkeys((*(end.aliases or ()), *more))))
            for name, end in settings.networks.items()
        }
        container = replace(container, network_settings=replace(settings, networks=networks))
    return container


async def start(request: Request, backend: Backend) -> Answer:
    """Start it."""
    if request.has_body and len(await request.read()) > 7:
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    form = request.form
    options = StartOptions(form.flag("explain"), form.text("checkpoint"), form.text("checkpoint-dir"))
    await backend.containers.start(request.name, options)
    return NO_CONTENT


async def steps(request: Request, backend: Backend) -> Answer:
    """What the last explained start did."""
    return json_response(await backend.containers.steps(request.name))


async def stop(request: Request, backend: Backend) -> Answer:
    """Stop it."""
    await backend.containers.stop(request.name, _signal(request), request.form.integer("t"))
    return NO_CONTENT


async def restart(request: Request, backend: Backend) -> Answer:
    """Stop it where it runs, and start it."""
    await backend.containers.restart(request.name, _signal(request), request.form.integer("t"))
    return NO_CONTENT


def _signal(request: Request) -> str:
    return request.form.text("signal") if request.version >= (1, 42) else ""


async def kill(request: Request, backend: Backend) -> Answer:
    """Send it a signal. Docker puts the container's name in front of what went wrong."""
    try:
        await backend.containers.kill(request.name, request.form.text("signal"))
    except (NotFound, Conflict, InvalidParameter) as error:
        raise _named(error, f"cannot kill container: {request.name}: {error}") from error
    return NO_CONTENT


def _named(error: SampanError, text: str) -> SampanError:
    for kind in (NotFound, Conflict, InvalidParameter):
        if isinstance(error, kind):
            return kind(text)
    return error


async def pause(request: Request, backend: Backend) -> Answer:
    """Freeze it."""
    await backend.containers.pause(request.name)
    return NO_CONTENT


async def unpause(request: Request, backend: Backend) -> Answer:
    """Let it go on."""
    await backend.containers.unpause(request.name)
    return NO_CONTENT


async def top(request: Request, backend: Backend) -> Answer:
    """Its processes."""
    return json_response(await backend.containers.top(request.name, request.form.text("ps_args")))


async def resize(request: Request, backend: Backend) -> Answer:
    """Set the size of its terminal."""
    rows, columns = request.form.size("h", "height"), request.form.size("w", "width")
    await backend.containers.resize(request.name, rows, columns)
    return EMPTY


async def update(request: Request, backend: Backend) -> Answer:
    """Change its limits."""
    body = await request.json(_UPDATE, required=True)
    changes: dict[str, object] = {}
    if request.version < (1, 40):
        changes["pids_limit"] = None
    elif body.pids_limit is not None and body.pids_limit <= 0:
        # Any of these means "without limit", in contrast to null.
        changes["pids_limit"] = 0
    if request.version >= (1, 42):
        changes["kernel_memory"] = 0
    return json_response(await backend.containers.update(request.name, msgspec.structs.replace(body, **changes)))


async def rename(request: Request, backend: Backend) -> Answer:
    """Give it another name."""
    await backend.containers.rename(request.name, request.form.text("name"))
    return NO_CONTENT


async def remove(request: Request, backend: Backend) -> Answer:
    """Remove it."""
    form = request.form
    await backend.containers.remove(request.name, RemoveOptions(form.flag("force"), form.flag("v"), form.flag("link")))
    return NO_CONTENT


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove all that are stopped."""
    return json_response(await backend.containers.prune(request.form.filters()))


ROUTES = (
    Route("GET", "/containers/json", list_all),
    Route("GET", "/containers/{name}/json", inspect),
    Route("POST", "/containers/{name}/start", start),
    Route("POST", "/containers/{name}/stop", stop),
    Route("POST", "/containers/{name}/restart", restart),
    Route("POST", "/containers/{name}/kill", kill),
    Route("POST", "/containers/{name}/pause", pause),
    Route("POST", "/containers/{name}/unpause", unpause),
    Route(
        "GET",
        "/containers/{name}/top",
        top,
        Support.PARTIAL,
        "`ps_args`: -e -A -f -F -o --format, aux, with a closed set of columns; no `ps` binary takes part",
    ),
    Route("POST", "/containers/{name}/resize", resize),
    Route("POST", "/containers/{name}/update", update),
    Route("POST", "/containers/{name}/rename", rename),
    Route("DELETE", "/containers/{name}", remove),
    Route("POST", "/containers/prune", prune),
    Route("GET", "/containers/{name}/sampan/steps", steps, Support.OWN, "the steps of a start with `explain=1`"),
)
