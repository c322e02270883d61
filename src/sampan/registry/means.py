"""What all conversations of one client share."""

from dataclasses import dataclass

from sampan.registry.hosts import Hosts
from sampan.registry.settings import Patience
from sampan.registry.tokens import Authorizer
from sampan.registry.transport import Transport


@dataclass(frozen=True, slots=True)
class Means:
    """What conversations share."""

    transport: Transport
    authorizer: Authorizer
    hosts: Hosts
    patience: Patience
    tls_seen: set[str]
    """addresses of insecure hosts that have answered by TLS: they are not spoken to in clear text any more"""
