"""Authorization plugins: each request, and each answer, is shown to all of them in order, and any of them can deny it.

Source: Docker's "Access authorization plugin"; what is shown, and its bounds, as in moby's pkg/authorization. Nothing passes
where a plugin is away, answers wrongly or takes too long (fail closed).
"""

import msgspec

from sampan.errors import Forbidden, InvalidParameter, System
from sampan.plugins.faults import PluginFailed, PluginNotFound
from sampan.plugins.plugin import RETRY_SECONDS
from sampan.plugins.plugins import Plugins
from sampan.spec.document import Document, wire

KIND = "authz"
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of a body that is shown. One that is larger is denied, never passed unseen (CVE-2024-41110, CVE-2026-34040)."""
_SECRET = frozenset(("authorization", "x-registry-config", "x-registry-auth"))


class Shown(Document, frozen=True, rename=wire(user_authn_method="UserAuthNMethod")):
    """What a plugin is asked about. Bodies and certificates (PEM) go as base64, header fields under Go's names."""

    user: str = ""
    user_authn_method: str = ""
    request_method: str = ""
    request_uri: str = ""
    request_body: bytes = b""
    request_headers: dict[str, str] = msgspec.field(default_factory=dict)
    request_peer_certificates: tuple[bytes, ...] = ()
    response_status_code: int = 0
    response_body: bytes = b""
    response_headers: dict[str, str] = msgspec.field(default_factory=dict)


class Verdict(Document, frozen=True):
    """What a plugin answers; only `allow` is a yes."""

    allow: bool = False
    msg: str = ""
    err: str = ""


class Denied(Forbidden):
    """A plugin said no; in Docker's words."""

    def __init__(self, plugin: str, why: str) -> None:
        super().__init__(f"authorization denied by plugin {plugin}: {why[:4096]}")


class Gate:
    """The plugins that are asked, in order; none where `names` is empty. On the event loop."""

    def __init__(self, plugins: Plugins, names: tuple[str, ...] = ()) -> None:
        self._plugins = plugins
        self.names = tuple(dict.fromkeys(names))

    async def use(self, names: tuple[str, ...], *, patience: float = RETRY_SECONDS) -> None:
        """Ask these from now on. Raises InvalidParameter where one is none; then those of before stay."""
        for name in names:
            try:
                await self._plugins.get(name, KIND, patience=patience)
            except (PluginFailed, PluginNotFound) as error:
                raise InvalidParameter(f"failed to validate authorization plugin {name}: {error}") from error
        self.names = tuple(dict.fromkeys(names))

    async def request(self, shown: Shown) -> None:
        """Raises Denied, and System where a plugin cannot be asked."""
        await self._ask("AuthZPlugin.AuthZReq", shown)

    async def response(self, shown: Shown) -> None:
        """The same for what is to be answered."""
        await self._ask("AuthZPlugin.AuthZRes", shown)

    async def _ask(self, method: str, shown: Shown) -> None:
        for name in self.names:
            try:
                plugin = await self._plugins.get(name, KIND)
                verdict = await plugin.call(method, shown, Verdict)
            except (PluginFailed, PluginNotFound) as error:
                raise System(f"plugin {name} failed with error: {error}") from error
            if not verdict.allow:
                raise Denied(name, verdict.msg or verdict.err)
            if verdict.err:
                raise System(f"plugin {name} failed with error: {verdict.err[:4096]}")


def headers_shown(headers: dict[str, str]) -> dict[str, str]:
    """Header fields under the names that Go gives them, without credentials."""
    return {
        "-".join(part.capitalize() for part in name.split("-")): value
        for name, value in headers.items()
        if name.lower() not in _SECRET
    }


def with_answer(shown: Shown, status: int, headers: dict[str, str], body: bytes) -> Shown:
    """What a plugin is asked about once there is an answer."""
    return msgspec.structs.replace(
        shown, response_status_code=status, response_headers=headers_shown(headers), response_body=body
    )
