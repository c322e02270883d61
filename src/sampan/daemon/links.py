"""Legacy links on the default bridge (`--link NAME:ALIAS`): what a container is told of others, by environment and hosts file.

A link belongs to the container that was created with it (Docker's parent) and names another one, the child, by id, so that a
rename breaks nothing. `parent/alias` is a name of the child for as long. A link whose child is gone stays, and its parent does
not start: as in Docker, what a program was promised is not left out without a word.
"""

import posixpath
from collections.abc import Iterable, Iterator

from sampan.daemon import verify
from sampan.daemon.container import Container
from sampan.daemon.definition import Definition, Link
from sampan.daemon.link_environment import variables
from sampan.daemon.names import Registry
from sampan.daemon.needs import Wiring
from sampan.errors import InvalidParameter, NotFound, System
from sampan.network import hosts
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId

_BRIDGE = "bridge"
_PREDEFINED = ("", "default", "bridge", "host", "none")
_MOST_HOPS = 32


def parse(text: str) -> tuple[str, str]:
    """`NAME[:ALIAS]`, or `/NAME:/parent/ALIAS` as inspect shows it. Raises InvalidParameter in Docker's words."""
    if not text:
        raise InvalidParameter("empty string specified for links")
    name, *rest = text.split(":")
    alias = rest[0] if rest else name
    if rest and name.startswith("/"):
        name, alias = name[1:], posixpath.basename(alias)
    # The alias becomes a word of /etc/hosts, and must not become a line of it.
    if len(rest) > 1 or not hosts.is_name(posixpath.basename(alias)):
        raise InvalidParameter(f"bad format for links: {text}")
    return name, alias


class Links:
    """Who is linked to whom, for all containers of a daemon."""

    def __init__(self, containers: Registry[Container]) -> None:
        self._containers = containers
        self._parents: dict[ContainerId, set[ContainerId]] = {}

    def resolve(self, host: HostConfig) -> tuple[Link, ...]:
        """What a request's links mean now. Raises InvalidParameter where one names nobody, or one in the host's network."""
        if host.network_mode not in _PREDEFINED and not verify.joins(host.network_mode):
            # In a network of a user's own those of the end point count; the command sends them in both places.
            return ()
        made: dict[str, Link] = {}
        for text in host.links or ():
            name, alias = parse(text)
            child = self._standing(name)
            if child.definition.host.network_mode == "host":
                raise InvalidParameter(verify.NO_LINKS_ON_HOST)
            # A second one of that name is ignored, as in Docker.
            made.setdefault(alias, Link(child.id, child.name, alias))
        return tuple(made.values())

    def _standing(self, name: str) -> Container:
        """The container called `name`, or the one whose network it shares."""
        for _ in range(_MOST_HOPS):
            try:
                found = self._containers.find(name)
            except NotFound as error:
                # No 404: the command would look for an image then.
                raise InvalidParameter(f"could not get container for {name}: {error}") from error
            joined = verify.joins(found.definition.host.network_mode)
            if not joined:
                return found
            name = joined
        raise InvalidParameter(f"could not get container for {name}: its network is another container's, and so on")

    def add(self, definition: Definition) -> None:
        """A container with links is there."""
        for link in definition.links:
            self._parents.setdefault(link.child, set()).add(definition.id)

    def discard(self, definition: Definition) -> None:
        """A container is gone, or is about to be told with other links by `add`."""
        for link in definition.links:
            parents = self._parents.get(link.child, set())
            parents.discard(definition.id)
            if not parents:
                self._parents.pop(link.child, None)

    def parents(self, container: Container) -> Iterator[tuple[str, Container]]:
        """The same from the other end: by which alias, in whom."""
        for parent_id in sorted(self._parents.get(container.id, ())):
            parent = self._containers.get(parent_id)
            for link in parent.definition.links if parent else ():
                if parent is not None and link.child == container.id:
                    yield link.alias, parent

    def names(self, container: Container) -> tuple[str, ...]:
        """All that a list shows: the name, and those that links give it."""
        own = f"/{container.name}"
        if container.id not in self._parents:
            return (own,)
        return tuple(sorted((own, *(f"/{parent.name}/{alias}" for alias, parent in self.parents(container)))))

    def shown(self, container: Container) -> tuple[str, ...] | None:
        """`HostConfig.Links` as inspect shows them."""
        found = []
        for link in container.definition.links:
            child = self._containers.get(link.child)
            found.append(f"/{child.name if child else link.name}:/{container.name}/{link.alias}")
        return tuple(found) or None

    def find(self, reference: str) -> tuple[Container, Link]:
        """Parent and link of a name such as `parent/alias`; the other end may be gone. Raises NotFound."""
        name, _, alias = reference.removeprefix("/").partition("/")
        try:
            parent = self._containers.find(name)
        except NotFound:
            raise NotFound(f"No such container: {reference}") from None
        for link in parent.definition.links:
            if link.alias == alias:
                return parent, link
        raise NotFound(f"No such container: {reference}")

    def hosts_lines(self, container: Container, wiring: Wiring) -> list[tuple[str, str]]:
        """Address and names of the linked, for /etc/hosts. Raises System where one cannot be reached."""
        found = []
        for alias, child in self._reachable(container):
            first = posixpath.basename(alias)
            own = () if first == child.name else (child.name,)
            names = (first, child.definition.config.hostname, *own)
            found.append((_address(child, wiring), " ".join(names)))
        return found

    def environment(self, container: Container, wiring: Wiring) -> tuple[str, ...]:
        """What the container's programs are told. Raises System where a linked one does not run."""
        told: list[str] = []
        for alias, child in self._reachable(container):
            config = child.definition.config
            name = f"/{container.name}/{alias}"
            told += variables(name, _address(child, wiring), config.env or (), config.exposed_ports or ())
        return tuple(told)

    def join(self, container: Container, wiring: Wiring) -> None:
        """A container has its address: it may reach its children's exposed ports, and its parents its own. Raises OSError."""
        for link in container.definition.links:
            child = self._containers.get(link.child)
            if child is not None and child.state.alive:
                wiring.link(container.id, child.id, child.definition.config.exposed_ports or ())
        for _, parent in self.parents(container):
            if parent.state.alive:
                wiring.link(parent.id, container.id, container.definition.config.exposed_ports or ())

    def _reachable(self, container: Container) -> Iterable[tuple[str, Container]]:
        if container.definition.host.network_mode != _BRIDGE:
            # Links mean nothing elsewhere, and nothing is said of them there.
            return
        for link in container.definition.links:
            child = self._containers.get(link.child)
            if child is not None and child.definition.host.network_mode != _BRIDGE:
                raise System(f"Cannot link to /{child.name}, as it does not belong to the default network")
            if child is None or not child.state.running:
                name, alias = child.name if child else link.name, f"/{container.name}/{link.alias}"
                raise System(f"Cannot link to a non running container: /{name} AS {alias}")
            yield link.alias, child


def _address(child: Container, wiring: Wiring) -> str:
    connected = wiring.connected(child.id)
    return connected.settings[_BRIDGE].ip_address if connected and _BRIDGE in connected.settings else ""
