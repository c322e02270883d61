"""What is asked of registries: logins, searches, what a name stands for."""

from sampan.api.backend import Backend
from sampan.api.form import Form
from sampan.api.request import Request
from sampan.api.responses import Answer, json_response
from sampan.api.routing import Route
from sampan.errors import InvalidParameter, System
from sampan.spec.decoding import Reader
from sampan.spec.registries import AuthConfig

_LOGIN = Reader(AuthConfig)


async def login(request: Request, backend: Backend) -> Answer:
    """Try a login. Docker reads the body whatever type it says it has."""
    return json_response(await backend.registries.login(_LOGIN.read(await request.read() or b"{}")))


async def search(request: Request, backend: Backend) -> Answer:
    """Find repositories."""
    form = request.form
    found = await backend.registries.search(form.text("term"), _limit(form), form.filters(), _credentials(request))
    return json_response(list(found))


def _limit(form: Form) -> int:
    """0 where none is given. Raises InvalidParameter."""
    try:
        limit = form.integer("limit") or 0
    except System as error:
        raise InvalidParameter(f"invalid limit specified: {error}") from error
    if limit < 0:
        raise InvalidParameter(f"invalid limit specified: {limit}")
    return limit


def _credentials(request: Request) -> str:
    return request.headers.get(b"x-registry-auth", b"").decode("latin-1")


async def inspect(request: Request, backend: Backend) -> Answer:
    """What a name stands for."""
    return json_response(await backend.registries.inspect(request.name, _credentials(request)))


ROUTES = (
    Route("POST", "/auth", login),
    Route("GET", "/images/search", search, follows=True),
    Route("GET", "/distribution/{name}/json", inspect, follows=True),
)
