"""Which handler a path belongs to: plain data, looked up by hash."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import Answer

Handler = Callable[[Request, Backend], Awaitable[Answer]]


class Support(StrEnum):
    """How much of Docker's route is there; `docs/docker-compatibility.md` is made from it."""

    FULL = "full"
    PARTIAL = "partial"
    NOT = "not"
    SWARM = "as without swarm"
    OWN = "Sampan's own"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. The path has at most one variable, `{name}`, which may itself contain slashes.

    Where a second one ends it (`/{name}/checkpoints/{checkpoint}`) the handler finds both, and what is between, in its place.
    """

    method: str
    path: str
    handler: Handler
    support: Support = Support.FULL
    note: str = ""
    follows: bool = False
    """It only tells: when its client has gone there is nothing left to do, and it is cancelled."""


class Router:
    """Finds routes. A path without a variable is one look-up, one with a variable at most four."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._open: dict[tuple[str, str, str], Route] = {}
        for route in routes:
            before, variable, behind = route.path.partition("/{name}")
            if variable:
                self._open[(route.method, before[1:], behind.partition("{")[0])] = route
            else:
                self._exact[(route.method, route.path)] = route

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """The route and what stands in its variable's place; None where there is none."""
        route = self._exact.get((method, path))
        if route is not None:
            return route, ""
        first, slash, rest = path[1:].partition("/")
        if not slash:
            return None
        last = rest.rfind("/")
        # The longest literal end wins: /attach/ws before /ws.
        for cut in (rest.rfind("/", 0, max(last, 0)), last):
            route = self._open.get((method, first, rest[cut:])) if cut >= 0 else None
            if route is not None:
                return route, rest[:cut]
        middle = rest.rfind("/", 0, max(last, 0))
        route = self._open.get((method, first, rest[middle : last + 1])) if middle > 0 else None
        if route is None:
            route = self._open.get((method, first, ""))
        return (route, rest) if route is not None else None
