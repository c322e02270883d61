"""The build cache: what of it goes."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer, json_response
from sampan.api.routing import Route
from sampan.errors import InvalidParameter
from sampan.spec.requests import BuildPruneOptions


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove what is not in use; `keep-storage` is the older name of `reserved-space`."""
    form = request.form
    reserved = _bytes(request, "reserved-space") or _bytes(request, "keep-storage")
    options = BuildPruneOptions(
        form.flag("all"), reserved, _bytes(request, "max-used-space"), _bytes(request, "min-free-space"), form.filters()
    )
    return json_response(await backend.build_cache.prune(options))


def _bytes(request: Request, name: str) -> int:
    """A number of bytes, 0 where it is missing. Raises InvalidParameter in Docker's words."""
    text = request.form.text(name)
    digits = text.removeprefix("-").removeprefix("+")
    if not text:
        return 0
    if not digits.isdecimal() or not digits.isascii():
        raise InvalidParameter(f'{name} is in bytes and expects an integer, got "{text}": invalid syntax')
    number = int(text)
    if abs(number) >= 1 << 63:
        raise InvalidParameter(f'{name} is in bytes and expects an integer, got "{text}": value out of range')
    return max(number, 0)


ROUTES = (Route("POST", "/build/prune", prune),)
