"""What the daemon's configuration says of registries, as data: mirrors, who may be spoken to unverified, proxies, patience."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sampan.version import VERSION

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """Addresses of proxies, "" for none, and for whom there is none (a list with commas, as curl and Go read it)."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often is tried. Seconds."""

    connect: float = 15
    idle: float = 30
    """without a byte, within an answer"""
    document: float = 60
    """for a whole answer that is no blob"""
    attempts: int = 5
    """of one request, or of a blob without a byte gained"""
    pause: float = 0.5
    """before the second attempt; doubled before each further one"""
    longest_pause: float = 15
    """also what is granted to a Retry-After; one that asks for more fails at once"""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    mirrors: tuple[str, ...] = ()
    """of docker.io, as URLs (daemon.json's `registry-mirrors`)"""
    insecure_names: frozenset[str] = frozenset()
    """`host` or `host:port`"""
    insecure_networks: tuple[Network, ...] = ()
    """beside the loopback networks, which always are"""
    proxies: Proxies = Proxies()
    certificates: tuple[Path, ...] = ()
    """folders with a folder for each registry; the first that has one counts"""
    user_agent: str = f"Sampan/{VERSION}"
    patience: Patience = field(default_factory=Patience)
