"""All registries, as this machine and the daemon's configuration know them: where a client of this room begins."""

import re

from sampan.errors import InvalidParameter
from sampan.registry.conversation import Conversation
from sampan.registry.host import Host
from sampan.registry.hosts import Hosts
from sampan.registry.login import login
from sampan.registry.means import Means
from sampan.registry.protocol import Credentials, Found
from sampan.registry.pushed import RemoteRepository
from sampan.registry.search import search
from sampan.registry.settings import Settings
from sampan.registry.tokens import Authorizer
from sampan.registry.transport import Transport

_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


class RemoteRegistries:
    """Implements `protocol.Registries`. One for a daemon; any thread may use it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._transport, self._means = _means(settings)

    def use(self, settings: Settings) -> None:
        """Go by these from now on. What is under way ends as it began."""
        before = self._transport
        self._transport, self._means = _means(settings)
        self.settings = settings
        before.forget_idle()

    def pulling(
        self, domain: str, path: str, credentials: Credentials, resource: str = "repository"
    ) -> RemoteRepository:
        """See `protocol.Registries`. `resource` is what a token is asked for: plugins have a kind of their own."""
        _check(domain, path)
        conversations = self._conversations(self._means.hosts.pulling(domain), credentials)
        return RemoteRepository(domain, path, conversations, "pull", self._means.patience, resource)

    def pushing(
        self, domain: str, path: str, credentials: Credentials, resource: str = "repository"
    ) -> RemoteRepository:
        """See `protocol.Registries`, and `pulling`."""
        _check(domain, path)
        conversations = self._conversations(self._means.hosts.pushing(domain), credentials)
        return RemoteRepository(domain, path, conversations, "pull,push", self._means.patience, resource)

    def login(self, address: str, credentials: Credentials) -> str:
        """See `protocol.Registries`. `address` is host or host:port."""
        if not _DOMAIN.fullmatch(address):
            raise InvalidParameter(f"unable to parse server address: {address[:200]!r}")
        return login(self._means, self._means.hosts.pushing(address)[0], credentials)

    def search(self, term: str, limit: int, credentials: Credentials) -> list[Found]:
        """See `protocol.Registries`."""
        return search(self._means, term, limit, credentials)

    def _conversations(self, hosts: tuple[Host, ...], credentials: Credentials) -> tuple[Conversation, ...]:
        return tuple(Conversation(self._means, host, credentials) for host in hosts)

    def close(self) -> None:
        """Close what is idle, and begin nothing any more."""
        self._transport.close()


def _means(settings: Settings) -> tuple[Transport, Means]:
    transport, hosts = Transport(settings), Hosts(settings)
    return transport, Means(transport, Authorizer(transport, hosts), hosts, settings.patience, set())


def _check(domain: str, path: str) -> None:
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain):
        raise InvalidParameter("invalid reference format")
