"""What a build may do beyond the usual: where the daemon's configuration grants it, and the client allows it."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from sampan.build.operations import Graph, Run
from sampan.errors import Forbidden, InvalidParameter, NotImplementedHere


class Entitlement(StrEnum):
    """In BuildKit's names."""

    NETWORK_HOST = "network.host"
    """`RUN --network=host`"""
    SECURITY_INSECURE = "security.insecure"
    """`RUN --security=insecure`: every capability and device, no filter"""


def entitlements(names: Iterable[str], granted: Collection[str]) -> frozenset[Entitlement]:
    """What a client allows, of what the daemon grants. Raises InvalidParameter, Forbidden in BuildKit's words."""
    found = set()
    for name in names:
        if name.partition("=")[0] == "device":
            raise NotImplementedHere("not implemented by Sampan yet: the entitlement device")
        if name not in tuple(Entitlement):
            raise InvalidParameter(f"unknown entitlement {name[:100]}")
        if name not in granted:
            raise Forbidden(f"granting entitlement {name} is not allowed by build daemon configuration")
        found.add(Entitlement(name))
    return frozenset(found)


def check(graph: Graph, allowed: Collection[Entitlement], network: str) -> None:
    """Before anything is run: what a RUN asks for must be allowed. `network`: of those that name none.

    Raises Forbidden in BuildKit's words.
    """
    for vertex in graph.vertices:
        run = vertex.operation
        if not isinstance(run, Run):
            continue
        on_host = (network if run.network == "default" else run.network) == "host"
        if on_host and Entitlement.NETWORK_HOST not in allowed:
            raise Forbidden(f"{Entitlement.NETWORK_HOST} is not allowed")
        if run.security == "insecure" and Entitlement.SECURITY_INSECURE not in allowed:
            raise Forbidden(f"{Entitlement.SECURITY_INSECURE} is not allowed")
