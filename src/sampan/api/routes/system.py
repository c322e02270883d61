"""Ping, version, info and events."""

from collections.abc import AsyncIterator

import msgspec

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer, Response, Stream, json_response
from sampan.api.routing import Route, Support
from sampan.api.versions import MAXIMUM, MINIMUM, text
from sampan.errors import InvalidParameter
from sampan.spec.check import CheckStep
from sampan.spec.decoding import Reader
from sampan.spec.document import encode
from sampan.spec.events import Message
from sampan.spec.prune import PrunePlanRequest
from sampan.spec.requests import EventOptions
from sampan.spec.system import Component, Info, Version

_PING_HEADERS = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)
_PONG = Response(200, b"OK", "text/plain; charset=utf-8", _PING_HEADERS)
_SILENT_PONG = Response(200, b"", "text/plain; charset=utf-8", _PING_HEADERS)

_PLAN = Reader(PrunePlanRequest)
_DISK_TYPES = ("container", "image", "volume", "build-cache")


async def ping(_request: Request, _backend: Backend) -> Answer:
    """The daemon is there, and this is what it speaks."""
    return _PONG


async def ping_head(_request: Request, _backend: Backend) -> Answer:
    """The same without a body."""
    return _SILENT_PONG


async def version(_request: Request, backend: Backend) -> Answer:
    """Who is speaking. The API's versions are filled in here, where they are known."""
    found = await backend.system.version()
    spoken = {"ApiVersion": text(MAXIMUM), "MinAPIVersion": text(MINIMUM)}

    def detailed(component: Component) -> Component:
        return msgspec.structs.replace(component, details={**(component.details or {}), **spoken})

    components = tuple(detailed(c) if c.name == "Engine" else c for c in found.components)
    answer: Version = msgspec.structs.replace(
        found, components=components, api_version=text(MAXIMUM), min_api_version=text(MINIMUM)
    )
    return json_response(answer)


async def info(request: Request, backend: Backend) -> Answer:
    """The daemon, its host and what it can do."""
    return json_response(_for_older(await backend.system.info(), request.version))


def _for_older(found: Info, version: tuple[int, ...]) -> Info:
    """What older clients expect to find, and without what they do not know."""
    replace = msgspec.structs.replace
    if version < (1, 50):
        found = replace(found, discovered_devices=None, bridge_nf_iptables=False, bridge_nf_ip6tables=False)
    if version < (1, 49):
        commits = (found.containerd_commit, found.runc_commit, found.init_commit)
        containerd, runc, init = (replace(commit, expected=commit.id) for commit in commits)
        found = replace(found, firewall_backend=None, containerd_commit=containerd, runc_commit=runc, init_commit=init)
    if version < (1, 47) and found.registry_config is not None:
        registry = replace(
            found.registry_config,
            allow_nondistributable_artifacts_cidrs=None,
            allow_nondistributable_artifacts_hostnames=None,
        )
        found = replace(found, registry_config=registry)
    if version < (1, 46):
        found = replace(found, containerd=None)
    if version < (1, 44):
        runtimes = {name: replace(runtime, status=None) for name, runtime in found.runtimes.items()}
        found = replace(found, runtimes=runtimes)
    if version < (1, 25):
        names = tuple(option.partition("name=")[2].partition(",")[0] for option in found.security_options)
        found = replace(found, security_options=names)
    return found


async def disk_usage(request: Request, backend: Backend) -> Answer:
    """What takes room on the disk; everything, unless types are named."""
    types = request.form.all("type") if request.version >= (1, 42) else ()
    for kind in types:
        if kind not in _DISK_TYPES:
            raise InvalidParameter(f"unknown object type: {kind}")
    found = await backend.disk.usage(types or _DISK_TYPES)
    if request.version < (1, 44) and found.images is not None:
        replace = msgspec.structs.replace
        found = replace(found, images=tuple(replace(image, virtual_size=image.size) for image in found.images))
    return json_response(found)


async def freeing(_: Request, backend: Backend) -> Answer:
    """How much of what was removed is still to be deleted."""
    return json_response(backend.disk.freeing())


async def plan_prune(request: Request, backend: Backend) -> Answer:
    """What a prune would take."""
    return json_response(await backend.disk.plan_prune(await request.json(_PLAN)))


async def prune(request: Request, backend: Backend) -> Answer:
    """A plan carried out."""
    return json_response(await backend.disk.prune(request.form.text("plan")))


async def check(request: Request, backend: Backend) -> Answer:
    """Whether all that images need is whole: a line of JSON for each step."""
    return Stream(_check_lines(backend.disk.check(request.form.flag("repair"))))


async def _check_lines(steps: AsyncIterator[CheckStep]) -> AsyncIterator[bytes]:
    try:
        async for step in steps:
            yield encode(step) + b"\n"
    finally:
        close = getattr(steps, "aclose", None)
        if close is not None:
            await close()


async def debug(_request: Request, backend: Backend) -> Answer:
    """A report for whoever looks for a fault."""
    return Response(200, await backend.debug.report(), "application/gzip")


async def events(request: Request, backend: Backend) -> Answer:
    """What happens, a line of JSON each, until the client goes or `until` has come."""
    form = request.form
    since, until = form.timestamp("since"), form.timestamp("until")
    if until is not None and until < (since or 0):
        raise InvalidParameter(
            f"`since` time ({form.text('since')}) cannot be after `until` time ({form.text('until')})"
        )
    found = backend.events.subscribe(EventOptions(since, until, form.filters()))
    return Stream(_lines(found, skip_image_create=request.version < (1, 46)))


async def _lines(messages: AsyncIterator[Message], skip_image_create: bool) -> AsyncIterator[bytes]:
    try:
        async for message in messages:
            if not (skip_image_create and message.type == "image" and message.action == "create"):
                yield encode(message) + b"\n"
    finally:
        close = getattr(messages, "aclose", None)
        if close is not None:
            await close()


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping_head),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/system/df", disk_usage),
    Route("GET", "/events", events, follows=True),
    Route(
        "GET", "/sampan/freeing", freeing, Support.OWN, "`sampan system df`: what was removed and is still on the disk"
    ),
    Route("POST", "/sampan/prune-plan", plan_prune, Support.OWN, "`prune --plan`: what would go"),
    Route("POST", "/sampan/prune", prune, Support.OWN, "`prune --carry-out`: exactly what was planned"),
    Route("GET", "/sampan/debug", debug, Support.OWN, "`sampan system debug`", follows=True),
    Route("POST", "/sampan/check", check, Support.OWN, "`sampan system check`", follows=True),
)
