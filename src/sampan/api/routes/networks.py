"""Networks that exist. Making them comes later: see `absent.py`."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer, json_response
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter

_BOOLEANS = frozenset(("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))


async def list_all(request: Request, backend: Backend) -> Answer:
    """Networks; before 1.28 each with its containers."""
    found = await backend.networks.list(request.form.filters())
    if request.version < (1, 28):
        found = [await backend.networks.inspect(network.id, "") for network in found]
    return json_response(found)


async def inspect(request: Request, backend: Backend) -> Answer:
    """One network, with its containers. `verbose` tells more of swarm's services, of which there are none."""
    if not request.name:
        return await list_all(request, backend)
    verbose = request.form.text("verbose")
    if verbose not in _BOOLEANS:
        raise InvalidParameter(
            f'invalid value for verbose: {verbose}: strconv.ParseBool: parsing "{verbose}": invalid syntax'
        )
    return json_response(await backend.networks.inspect(request.name, request.form.text("scope")))


ROUTES = (
    Route("GET", "/networks", list_all),
    Route("GET", "/networks/{name}", inspect, Support.FULL),
)
