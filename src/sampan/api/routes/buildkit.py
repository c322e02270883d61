"""BuildKit's two connections: `/grpc`, where the client calls, and `/session`, where it serves."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer, Handover
from sampan.api.routing import Route
from sampan.errors import System

_PROTOCOL = "h2c"


async def grpc(request: Request, backend: Backend) -> Answer:
    """The client's calls: builds, their status, the builder's cache."""
    _check(request)
    return Handover(backend.buildkit.control(), "", protocol=_PROTOCOL)


async def session(request: Request, backend: Backend) -> Answer:
    """What the client offers its builds: files, secrets, agents, credentials."""
    _check(request)
    return Handover(backend.buildkit.session(request.headers), "", protocol=_PROTOCOL)


def _check(request: Request) -> None:
    """Raises System, as BuildKit's plain errors are told."""
    asked = request.headers.get(b"upgrade", b"").decode("latin-1")
    if not asked:
        raise System("no upgrade proto in request")
    if asked != _PROTOCOL:
        raise System(f"protocol {asked[:100]} not supported")


ROUTES = (Route("POST", "/grpc", grpc), Route("POST", "/session", session))
