"""Networks."""

import msgspec

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import EMPTY, NO_CONTENT, Answer, json_response
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader
from sampan.spec.networks import NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest

_CREATE = Reader(NetworkCreateRequest)
_CONNECT = Reader(NetworkConnectRequest)
_DISCONNECT = Reader(NetworkDisconnectRequest)
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


async def rules(request: Request, backend: Backend) -> Answer:
    """The rules of one network in nft syntax."""
    return json_response(await backend.networks.rules(request.name))


async def create(request: Request, backend: Backend) -> Answer:
    """Make one; before 1.48 each had IPv4."""
    wanted = await request.json(_CREATE, required=True)
    if request.version < (1, 48):
        wanted = msgspec.structs.replace(wanted, enable_ipv4=None)
    return json_response(await backend.networks.create(wanted), 201)


async def remove(request: Request, backend: Backend) -> Answer:
    """Remove it."""
    await backend.networks.remove(request.name)
    return NO_CONTENT


async def connect(request: Request, backend: Backend) -> Answer:
    """Let a container in; before 1.44 and 1.48 an end point had neither hardware address nor priority."""
    wanted = await request.json(_CONNECT, required=True)
    end = wanted.endpoint_config
    if end is not None:
        if request.version < (1, 44):
            end = msgspec.structs.replace(end, mac_address="")
        if request.version < (1, 48):
            end = msgspec.structs.replace(end, gw_priority=0)
    await backend.networks.connect(request.name, msgspec.structs.replace(wanted, endpoint_config=end))
    return EMPTY


async def disconnect(request: Request, backend: Backend) -> Answer:
    """Take a container out."""
    await backend.networks.disconnect(request.name, await request.json(_DISCONNECT, required=True))
    return EMPTY


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove those in which no container stands."""
    return json_response(await backend.networks.prune(request.form.filters()))


ROUTES = (
    Route("GET", "/networks", list_all),
    Route(
        "POST", "/networks/create", create, Support.PARTIAL, "drivers bridge, macvlan, ipvlan and plugins; no overlay"
    ),
    Route("POST", "/networks/prune", prune),
    Route("GET", "/networks/{name}", inspect),
    Route("GET", "/networks/{name}/sampan/rules", rules, Support.OWN, "`sampan network inspect --rules`"),
    Route("DELETE", "/networks/{name}", remove),
    Route("POST", "/networks/{name}/connect", connect),
    Route("POST", "/networks/{name}/disconnect", disconnect),
)
