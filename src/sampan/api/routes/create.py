"""Create: what Docker does to the body before the daemon sees it, by the client's version."""

import msgspec

from sampan.api.backend import Backend
from sampan.api.create_body import for_version
from sampan.api.platforms import platform_of_text
from sampan.api.request import Request
from sampan.api.responses import Answer, json_response
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter
from sampan.spec.containers import CreateRequest, CreateResponse
from sampan.spec.decoding import Reader

_CREATE = Reader(CreateRequest)


async def create(request: Request, backend: Backend) -> Answer:
    """Make a container."""
    request.check_json()
    raw = (await request.read()).strip()
    if not raw:
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    asked = _CREATE.read(raw)
    if not asked.image and not asked.cmd and _is_empty(raw):
        raise InvalidParameter("config cannot be empty in order to create a container")
    body, warnings = for_version(asked, request.version)
    platform = platform_of_text(request.form.text("platform")) if request.version >= (1, 41) else ""
    made = await backend.containers.create(body, request.form.text("name"), platform, request.caller)
    return json_response(CreateResponse(id=made.id, warnings=(*made.warnings, *warnings)), 201)


def _is_empty(raw: bytes) -> bool:
    """Whether there is no member of Config in it; the two others do not count, as in Docker."""
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}
    return members.keys() <= {"HostConfig", "NetworkingConfig"}


ROUTES = (
    Route(
        "POST",
        "/containers/create",
        create,
        Support.PARTIAL,
        "members that cannot be honoured are refused by name: see the tables below",
    ),
)
