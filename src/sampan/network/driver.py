"""What a network driver has to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sampan.errors import InvalidParameter, NotFound
from sampan.network.definition import NetworkDefinition
from sampan.network.endpoint import Endpoint
from sampan.spec.ids import ContainerId, NetworkId


@dataclass(frozen=True, slots=True)
class Wish:
    """What a container may ask for itself; empty means that the driver chooses."""

    address: str = ""
    mac: str = ""
    gw_priority: int = 0
    address6: str = ""
    link_local: tuple[str, ...] = ()
    interface: str = ""
    sysctls: tuple[tuple[str, str], ...] = ()
    owner: str = ""
    """what errors call the container"""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What `docker network inspect` tells of a network; subnet and gateway are empty where it has none."""

    name: str
    id: NetworkId
    driver: str
    subnet: str = ""
    gateway: str = ""
    options: tuple[tuple[str, str], ...] = ()
    subnet6: str = ""
    gateway6: str = ""
    definition: NetworkDefinition | None = None
    """of a network of a user's own"""

    @property
    def is_user_defined(self) -> bool:
        """Whether a user made it: only these have names, aliases and chosen addresses."""
        return self.definition is not None

    @property
    def internal(self) -> bool:
        """Whether it has no way out."""
        return self.definition is not None and self.definition.internal


def facts_of(definition: NetworkDefinition) -> NetworkFacts:
    """Those of a network that a user made."""
    return NetworkFacts(
        definition.name,
        definition.id,
        "null" if definition.config_only else definition.driver,
        definition.subnet,
        definition.gateway,
        tuple(sorted(definition.options.items())),
        definition.subnet6,
        definition.gateway6,
        definition,
    )


def found(networks: Iterable[NetworkFacts], reference: str) -> NetworkFacts:
    """A network by full id, name or beginning of an id. Raises NotFound, InvalidParameter in Docker's words."""
    named, begun = [], []
    for facts in networks:
        if facts.id == reference:
            return facts
        if facts.name == reference:
            named.append(facts)
        elif reference and facts.id.startswith(reference):
            begun.append(facts)
    if named:
        return named[0]
    if len(begun) > 1:
        raise InvalidParameter(f"network {reference} is ambiguous ({len(begun)} matches found based on ID prefix)")
    if not begun:
        raise NotFound(f"network {reference} not found")
    return begun[0]


def checked_mac(text: str) -> str:
    """A hardware address as it is written; empty for none. Raises InvalidParameter."""
    if not text:
        return ""
    parts = text.replace("-", ":").split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError as error:
        raise InvalidParameter(f"invalid MAC address: {text}") from error
    if len(parts) != 6 or len(octets) != 6 or octets[0] & 1 or not any(octets):
        raise InvalidParameter(f"invalid MAC address: {text}")
    return octets.hex(":")


class NetworkDriver(Protocol):
    """One network of containers. All calls come from one thread; none may take longer than some milliseconds.

        driver.open()                            host set up, what an earlier daemon left is taken over
        endpoint = driver.connect(id, Wish())    an address is allocated; nothing is made yet
        …the runtime makes the link of `endpoint.link` inside the container's start…
        driver.release(endpoint)                 the container has ended; its link is gone with its namespace
        driver.close(remove=True)                nothing of it is left on the host

    `open` and `release` may be called again. `adopt` takes the place of `connect` for a container that an earlier daemon
    started. Errors of the host are `errors.System` with the OSError as cause; a wish that cannot be granted is
    InvalidParameter or Conflict.
    """

    def open(self) -> None:
        """Bring the host into the state that the network needs; called at start and whenever that was disturbed."""
        ...

    def facts(self) -> NetworkFacts:
        """What the network is; after `open`."""
        ...

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """Allocate a place for a container."""
        ...

    def adopt(self, endpoint: Endpoint) -> None:
        """Take over a place that an earlier daemon gave out."""
        ...

    def release(self, endpoint: Endpoint) -> None:
        """Take a place back."""
        ...

    def close(self, remove: bool) -> None:
        """Let go; with `remove` take everything from the host that `open` put there."""
        ...
