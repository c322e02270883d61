"""One place where a registry's content may be had: its address, how it is trusted, and what it may be asked for."""

from dataclasses import dataclass, field, replace
from enum import Flag, auto
from pathlib import Path


class Capability(Flag):
    """What a host may be asked for."""

    PULL = auto()
    RESOLVE = auto()
    PUSH = auto()
    ALL = PULL | RESOLVE | PUSH


@dataclass(frozen=True, slots=True)
class Trust:
    """How a host proves who it is, and how we do. `authorities` are added to the system's."""

    verify: bool = True
    authorities: tuple[Path, ...] = ()
    clients: tuple[tuple[Path, Path], ...] = ()
    """certificate and key; the key may be in the certificate's file"""


@dataclass(frozen=True, slots=True)
class Host:
    """One place to ask. `address` is `host` or `host:port`; `base` stands before `/manifests/…` and ends without a slash."""

    scheme: str
    address: str
    base: str = "/v2"
    trust: Trust = Trust()
    insecure: bool = False
    """the configuration allows clear text and unproven names"""
    mirror: bool = False
    own: bool = True
    """it is the registry itself: its users' credentials are for it"""
    capabilities: Capability = Capability.ALL
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def origin(self) -> str:
        """`https://host:port`."""
        return f"{self.scheme}://{self.address}"

    @property
    def url(self) -> str:
        """`https://host:port/v2`."""
        return self.origin + self.base

    def in_clear_text(self) -> "Host":
        """The same without TLS."""
        return replace(self, scheme="http")
