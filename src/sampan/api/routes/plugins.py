"""Managed plugins."""

from sampan.api.backend import Backend
from sampan.api.progress import or_failure
from sampan.api.request import Request
from sampan.api.responses import EMPTY, NO_CONTENT, Answer, Stream, json_response
from sampan.api.routing import Route
from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader
from sampan.spec.plugins import PluginPrivilege

_PRIVILEGES = Reader(tuple[PluginPrivilege, ...])
_SETTINGS = Reader(tuple[str, ...])


def _credentials(request: Request) -> str:
    return request.headers.get(b"x-registry-auth", b"").decode("latin-1")


async def list_all(request: Request, backend: Backend) -> Answer:
    """The plugins that are installed."""
    return json_response(await backend.plugins.list(request.form.filters()))


async def inspect(request: Request, backend: Backend) -> Answer:
    """One of them."""
    return json_response(await backend.plugins.inspect(request.name))


async def privileges(request: Request, backend: Backend) -> Answer:
    """What one in a registry asks for."""
    found = await backend.plugins.privileges(request.form.text("remote"), _credentials(request))
    # Go's nil list where it asks for nothing.
    return json_response(found or None)


async def pull(request: Request, backend: Backend) -> Answer:
    """Install one."""
    form = request.form
    granted = await _privileges(request)
    remote, name = form.text("remote"), form.text("name")
    called = backend.plugins.called(remote, name)
    answer = await or_failure(backend.plugins.pull(remote, name, granted, _credentials(request)))
    return _named(answer, called)


async def upgrade(request: Request, backend: Backend) -> Answer:
    """Bring another version of one."""
    granted = await _privileges(request)
    remote = request.form.text("remote")
    called = backend.plugins.called(remote, request.name)
    answer = await or_failure(backend.plugins.upgrade(request.name, remote, granted, _credentials(request)))
    return _named(answer, called)


async def _privileges(request: Request) -> tuple[PluginPrivilege, ...]:
    request.check_json()
    raw = (await request.read()).strip()
    return _PRIVILEGES.read(raw) if raw not in (b"", b"null") else ()


def _named(answer: Answer, name: str) -> Answer:
    assert isinstance(answer, Stream)
    return Stream(answer.chunks, headers=(("Docker-Plugin-Name", name),))


async def create(request: Request, backend: Backend) -> Answer:
    """Make one of a tar."""
    await backend.plugins.create(request.form.text("name"), request.stream())
    return NO_CONTENT


async def push(request: Request, backend: Backend) -> Answer:
    """Send one to its registry."""
    return await or_failure(backend.plugins.push(request.name, _credentials(request)))


async def enable(request: Request, backend: Backend) -> Answer:
    """Run one."""
    text = request.form.text("timeout")
    if not text.lstrip("+-").isdecimal() or len(text) > 9:
        why = "invalid syntax" if len(text) <= 9 else "value out of range"
        raise InvalidParameter(f'strconv.Atoi: parsing "{text[:40]}": {why}')
    await backend.plugins.enable(request.name, max(int(text), 0))
    return EMPTY


async def disable(request: Request, backend: Backend) -> Answer:
    """Stop one."""
    await backend.plugins.disable(request.name, request.form.flag("force"))
    return EMPTY


async def set_(request: Request, backend: Backend) -> Answer:
    """Change settings."""
    request.check_json()
    raw = (await request.read()).strip()
    await backend.plugins.set(request.name, _SETTINGS.read(raw) if raw not in (b"", b"null") else ())
    return NO_CONTENT


async def remove(request: Request, backend: Backend) -> Answer:
    """Remove one."""
    await backend.plugins.remove(request.name, request.form.flag("force"))
    return EMPTY


ROUTES = (
    Route("GET", "/plugins", list_all),
    Route("GET", "/plugins/privileges", privileges),
    Route("POST", "/plugins/pull", pull),
    Route("POST", "/plugins/create", create),
    Route("GET", "/plugins/{name}/json", inspect),
    Route("DELETE", "/plugins/{name}", remove),
    Route("POST", "/plugins/{name}/enable", enable),
    Route("POST", "/plugins/{name}/disable", disable),
    Route("POST", "/plugins/{name}/upgrade", upgrade),
    Route("POST", "/plugins/{name}/push", push),
    Route("POST", "/plugins/{name}/set", set_),
)
