"""A container's end points put in order: which is the way out, and what each interface is called. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from sampan.network.endpoint import Endpoint

MOST = 64
"""networks that one container can stand in"""


def arranged(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """The way out first; only its interface leads out."""
    arranged: list[Endpoint] = []
    for endpoint in sorted(endpoints, key=lambda one: one.rank):
        gateway = "" if arranged else endpoint.gateway
        plan = replace(endpoint.veth, gateway=gateway) if endpoint.veth is not None else None
        arranged.append(replace(endpoint, veth=plan))
    return arranged


def numbered(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Interfaces named in this order: eth0 is the way out."""
    return [
        replace(endpoint, veth=replace(endpoint.veth, name=f"eth{number}")) if endpoint.veth is not None else endpoint
        for number, endpoint in enumerate(endpoints)
    ]


def named(endpoint: Endpoint, present: Sequence[Endpoint]) -> Endpoint:
    """One more interface gets the lowest name that is free; those that are there keep theirs."""
    taken = {one.veth.name for one in present if one.veth is not None}
    name = next(name for number in range(MOST + 1) if (name := f"eth{number}") not in taken)
    return replace(endpoint, veth=replace(endpoint.veth, name=name)) if endpoint.veth is not None else endpoint


def reached(endpoints: Sequence[Endpoint]) -> str:
    """The address that published ports lead to, empty where the container cannot be reached from outside."""
    return endpoints[0].address if endpoints and not endpoints[0].internal else ""


def gateway(endpoints: Sequence[Endpoint]) -> str:
    """The address that leads out, empty where nothing does."""
    return endpoints[0].veth.gateway if endpoints and endpoints[0].veth is not None else ""
