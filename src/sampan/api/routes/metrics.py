"""GET /metrics, at an address of its own (`metrics-addr`): no other route is there, and it is none of the API's."""

from collections.abc import Awaitable, Callable

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer, Response
from sampan.api.routing import Route, Support

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def route(page: Callable[[], Awaitable[bytes]]) -> Route:
    """The route over whatever makes the page."""

    async def metrics(_request: Request, _backend: Backend) -> Answer:
        return Response(200, await page(), CONTENT_TYPE)

    return Route("GET", "/metrics", metrics, Support.FULL)
