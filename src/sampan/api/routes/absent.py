"""Routes of Docker's API that Sampan answers without doing: swarm's, and those still to come, each by its name."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer
from sampan.api.routing import Handler, Route, Support
from sampan.errors import NotImplementedHere, Unavailable

NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
NOT_IN_A_SWARM = "This node is not part of a swarm"

_SWARM = (
    ("GET", "/swarm"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("POST", "/swarm/update"),
    ("GET", "/nodes"),
    ("GET", "/nodes/{name}"),
    ("DELETE", "/nodes/{name}"),
    ("POST", "/nodes/{name}/update"),
    ("GET", "/services"),
    ("POST", "/services/create"),
    ("GET", "/services/{name}"),
    ("DELETE", "/services/{name}"),
    ("POST", "/services/{name}/update"),
    ("GET", "/services/{name}/logs"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{name}"),
    ("GET", "/tasks/{name}/logs"),
    ("GET", "/secrets"),
    ("POST", "/secrets/create"),
    ("GET", "/secrets/{name}"),
    ("DELETE", "/secrets/{name}"),
    ("POST", "/secrets/{name}/update"),
    ("GET", "/configs"),
    ("POST", "/configs/create"),
    ("GET", "/configs/{name}"),
    ("DELETE", "/configs/{name}"),
    ("POST", "/configs/{name}/update"),
)

_TO_COME = (
    ("POST", "/swarm/init", "swarm mode"),
    ("POST", "/swarm/join", "swarm mode"),
)


async def _not_a_manager(_request: Request, _backend: Backend) -> Answer:
    raise Unavailable(NOT_A_MANAGER)


async def _not_in_a_swarm(_request: Request, _backend: Backend) -> Answer:
    raise Unavailable(NOT_IN_A_SWARM)


def _to_come(what: str) -> Handler:
    async def refuse(_request: Request, _backend: Backend) -> Answer:
        raise NotImplementedHere(f"not implemented by Sampan yet: {what}")

    return refuse


ROUTES = (
    *(Route(method, path, _not_a_manager, Support.SWARM) for method, path in _SWARM),
    Route("POST", "/swarm/leave", _not_in_a_swarm, Support.SWARM),
    *(Route(method, path, _to_come(what), Support.NOT, what) for method, path, what in _TO_COME),
)
