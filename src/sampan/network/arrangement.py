"""A container's end points put in order: which lead out, and what each interface is called. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sampan.network.endpoint import Endpoint

MOST = 64
"""networks that one container can stand in"""


@dataclass(frozen=True, slots=True)
class Ways:
    """The end points that lead out, one for each family; the same one where it leads out in both."""

    ipv4: Endpoint | None = None
    ipv6: Endpoint | None = None

    @property
    def gateway(self) -> str:
        """The IPv4 address that leads out, empty where nothing does."""
        return self.ipv4.gateway if self.ipv4 is not None else ""

    @property
    def gateway6(self) -> str:
        """The same for IPv6."""
        return self.ipv6.gateway6 if self.ipv6 is not None else ""

    @property
    def endpoint(self) -> Endpoint | None:
        """The one that errors and settings are about: IPv4's, or IPv6's where there is no other."""
        return self.ipv4 or self.ipv6

    @property
    def published(self) -> "Ways":
        """Those of them to which published ports can lead, as in Docker: a bridge's."""
        ipv4, ipv6 = (one if one is not None and one.is_bridged else None for one in (self.ipv4, self.ipv6))
        return Ways(ipv4, ipv6)

    def of(self, version: int) -> Endpoint | None:
        """The one of a family, 4 or 6."""
        return self.ipv4 if version == 4 else self.ipv6

    def straight(self, version: int) -> int:
        """The index of the link, inside, to which the default route of a family leads without a gateway; 0 where there is none."""
        endpoint = self.of(version)
        return endpoint.link.index if endpoint is not None and endpoint.straight and endpoint.link is not None else 0


def ways(endpoints: Iterable[Endpoint]) -> Ways:
    """Docker's choice among end points in order: the first that leads out in both families, else the first for each."""
    ipv4 = ipv6 = None
    for endpoint in endpoints:
        if endpoint.leads_out(4) and endpoint.leads_out(6):
            return Ways(endpoint, endpoint)
        ipv4 = ipv4 or (endpoint if endpoint.leads_out(4) else None)
        ipv6 = ipv6 or (endpoint if endpoint.leads_out(6) else None)
    return Ways(ipv4, ipv6)


def arranged(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """In order; only the interfaces of those that lead out have a default route."""
    ordered = sorted(endpoints, key=lambda one: one.rank)
    out = ways(ordered)
    arranged: list[Endpoint] = []
    for endpoint in ordered:
        plan = endpoint.link
        if plan is not None:
            plan = replace(
                plan,
                gateway=endpoint.gateway if endpoint is out.ipv4 else "",
                gateway6=endpoint.gateway6 if endpoint is out.ipv6 else "",
                straight=tuple(version for version in (4, 6) if endpoint.straight and endpoint is out.of(version)),
            )
        arranged.append(replace(endpoint, link=plan))
    return arranged


def numbered(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Interfaces named in this order, each with the lowest number of its prefix that is free: eth0 is the first."""
    done: list[Endpoint] = []
    chosen = {one.interface for one in endpoints if one.interface}
    for endpoint in endpoints:
        done.append(named(endpoint, done, chosen))
    return done


def named(endpoint: Endpoint, present: Sequence[Endpoint], others: Iterable[str] = ()) -> Endpoint:
    """One more interface gets the name that was chosen for it, or the lowest that is free; those that are there keep theirs."""
    if endpoint.link is None:
        return endpoint
    taken = {one.link.name for one in present if one.link is not None} | set(others)
    free = (name for number in range(len(taken) + 1) if (name := f"{endpoint.interface_prefix}{number}") not in taken)
    return replace(endpoint, link=replace(endpoint.link, name=endpoint.interface or next(free)))
