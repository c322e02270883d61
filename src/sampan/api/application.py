"""From a request to an answer: version, route, handler, failure."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import EMPTY, Answer, Heads, Response, failure, json_response
from sampan.api.routing import Route, Router
from sampan.api.versions import MAXIMUM, TooOld, parse_version, split_version, text
from sampan.errors import SampanError

if TYPE_CHECKING:
    from sampan.plugins.authorization import Gate

_log = logging.getLogger("sampan.api")


class Application:
    """The routes over one backend. `server` is what the Server header says, such as `Sampan/1.0.0 (linux)`.

    `experimental` is what the header Docker-Experimental tells of the daemon; `gate` the plugins that every request passes.
    """

    def __init__(
        self,
        backend: Backend,
        routes: Iterable[Route],
        server: str,
        *,
        experimental: bool = False,
        gate: "Gate | None" = None,
    ) -> None:
        self.heads = Heads(server, text(MAXIMUM), experimental)
        self._backend = backend
        self._router = Router(routes)
        self._gate = gate

    async def answer(self, request: Request) -> Answer:
        """What the request gets. Raises nothing but cancellation and ConnectionError (the client left while it was read)."""
        number, path = split_version(request.path)
        if "%" in path:
            path = unquote(path, errors="surrogateescape")
        try:
            request.version = parse_version(number)
            found = self._router.find(request.method, path)
            if found is None:
                return EMPTY if request.method == "OPTIONS" else _NOT_FOUND
            route, request.name = found
            request.follows, request.route = route.follows, route.path
            if self._gate is not None and self._gate.names:
                from sampan.api.authorizing import authorized

                return await authorized(self._gate, request, route, partial(route.handler, request, self._backend))
            return await route.handler(request, self._backend)
        except ConnectionError:
            raise
        except TooOld as error:
            return Response(400, f"{error}\n".encode(), "text/plain; charset=utf-8")
        except SampanError as error:
            answer = failure(error)
            if answer.status >= 500 and answer.status not in (501, 503):
                _log.exception("%s %s: %s", request.method, path, error)
            return answer
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            _log.exception("%s %s", request.method, path)
            return failure(error)


_NOT_FOUND = json_response({"message": "page not found"}, 404)
