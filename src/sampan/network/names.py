"""Who is called what in which network: the book that answers containers' questions. Pure.

What is known of a container comes as JSON from the daemon: {"networks": {id: {"name", "addresses", "names", "internal", "links"}},
"servers": [address…]}; `addresses` are of both families, `names` in order, the first of them is what its addresses are called;
`links` are [name, alias] pairs.

Loaded by the launcher.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTAINERS = 8192


class _Network:
    """What is said in one network."""

    __slots__ = ("addresses", "members", "name", "names")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.members = 0
        self.names: dict[bytes, list[bytes]] = {}
        self.addresses: dict[bytes, bytes] = {}


class _Place:
    """A container in one network, as the daemon tells it: all of it is looked at before any of it counts."""

    __slots__ = ("addresses", "internal", "links", "name", "names")

    def __init__(self, told: dict[str, Any]) -> None:
        self.name = _folded(told["name"])
        self.addresses = [_packed(address) for address in told["addresses"]]
        self.names = [_folded(name) for name in told["names"]]
        self.internal = bool(told["internal"])
        self.links = [(_folded(target), _folded(alias)) for target, alias in told["links"]]


class Book:
    """Names of all containers of a daemon. `turn` moves with each answer, so that several of one name take turns."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Place]] = {}
        self._servers: dict[str, list[str]] = {}
        self._networks: dict[str, _Network] = {}
        self._turn = 0

    def know(self, container: str, facts: dict[str, Any]) -> None:
        """Replace what is known of a container.

        Raises ValueError, OSError, LookupError, TypeError, AttributeError for what the daemon would not say; nothing changes then.
        """
        places = {str(identifier): _Place(told) for identifier, told in facts["networks"].items()}
        servers = [str(server) for server in facts["servers"]]
        if len(self._known) >= _CONTAINERS and container not in self._known:
            raise ValueError("too many containers")
        self.forget(container)
        self._known[container], self._servers[container] = places, servers
        for identifier, place in places.items():
            network = self._networks.setdefault(identifier, _Network(place.name))
            network.members += 1
            for address in place.addresses:
                for name in place.names:
                    network.names.setdefault(name, []).append(address)
                if place.names:
                    network.addresses[address] = place.names[0]

    def forget(self, container: str) -> None:
        """A container is gone; one that is not known is left alone."""
        self._servers.pop(container, None)
        for identifier, place in self._known.pop(container, {}).items():
            network = self._networks[identifier]
            network.members -= 1
            for address in place.addresses:
                for name in place.names:
                    holders = network.names[name]
                    holders.remove(address)
                    if not holders:
                        del network.names[name]
                if place.names and network.addresses.get(address) == place.names[0]:
                    del network.addresses[address]
            if not network.members:
                del self._networks[identifier]

    def find(self, container: str, name: bytes) -> list[bytes]:
        """The addresses of `name` as this container sees it, in the first of its networks that knows it; none: not ours.

        They are of both families, and take turns within each.

        `name.network` is understood, too.
        """
        for identifier, place in self._places(container).items():
            network = self._networks[identifier]
            wanted = name
            for target, alias in place.links:
                if alias == name:
                    wanted = target
            found = network.names.get(wanted)
            if found is None and wanted.endswith(b"." + network.name):
                found = network.names.get(wanted[: -len(network.name) - 1])
            if found:
                self._turn += 1
                return [address for length in (4, 16) for address in self._turned(found, length)]
        return []

    def _turned(self, addresses: list[bytes], length: int) -> list[bytes]:
        mine = [address for address in addresses if len(address) == length]
        start = self._turn % len(mine) if mine else 0
        return mine[start:] + mine[:start]

    def called(self, container: str, address: bytes) -> bytes:
        """What an address in one of the container's networks is called there, with the network's name; empty: not known."""
        for identifier in self._places(container):
            network = self._networks[identifier]
            if name := network.addresses.get(address):
                return name + b"." + network.name
        return b""

    def goes_out(self, container: str) -> bool:
        """Whether a container may ask anybody outside: not from internal networks alone."""
        return any(not place.internal for place in self._places(container).values())

    def servers(self, container: str) -> list[str]:
        """The servers that a container chose for itself; none: the host's."""
        return list(self._servers.get(container, ()))

    def _places(self, container: str) -> dict[str, _Place]:
        return self._known.get(container, {})


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _folded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape").lower()
