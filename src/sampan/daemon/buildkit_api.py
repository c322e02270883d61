"""BuildKit's protocol as the API calls it. Nothing of it is loaded before a client speaks it: gRPC alone is 12 MB."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sampan.daemon.builds_api import BuildsApi
from sampan.spec.requests import Hijacked, Taker

if TYPE_CHECKING:
    from sampan.daemon.buildkit_site import Frontend


class BuildKitApi:
    """Implements `api.backend.BuildKit`."""

    def __init__(self, builds: BuildsApi) -> None:
        self._builds = builds
        self._frontend: Frontend | None = None

    def control(self) -> Taker:
        """Who answers a client's calls."""
        return _Calls(self._opened())

    def session(self, headers: Mapping[bytes, bytes]) -> Taker:
        """Who calls the client that serves. Raises InvalidParameter, Conflict."""
        return self._opened().session(headers)

    def _opened(self) -> "Frontend":
        if self._frontend is None:
            from sampan.daemon.buildkit_site import Frontend

            self._frontend = Frontend(self._builds)
        return self._frontend


class _Calls:
    def __init__(self, frontend: "Frontend") -> None:
        self._frontend = frontend

    async def take(self, connection: Hijacked) -> None:
        """Answer until the connection is closed."""
        await self._frontend.serve(connection)
