"""Forwarding switched on where it was off, and off again with the last network that needed it.

That it was off is remembered in the alias of one of the bridges, which outlives the daemon: `sampan <instance>
forwarding-was-off ipv6-forwarding-was-off:eth0`. A host that forwards IPv6 does not listen to router advertisements any more;
links that did listen are told to go on (accept_ra 2), and are named there, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sampan.network.host_state import has_ipv6, read_sysctl, write_sysctl

_log = logging.getLogger("sampan.network")

_WAS_OFF = "forwarding-was-off"
_WAS_OFF6 = "ipv6-forwarding-was-off"
_ALIAS_LIMIT = 254
"""The kernel takes 255 bytes with the NUL (ERANGE)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What an alias says: which forwarding we switched on, and the links that we told to go on listening."""

    ipv4: bool = False
    ipv6: bool = False
    listeners: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to undo."""
        return not self.ipv4 and not self.ipv6

    def alias(self, label: str) -> str:
        """The alias of the bridge that remembers this."""
        words = [label, *([_WAS_OFF] if self.ipv4 else [])]
        if self.ipv6:
            words.append(":".join((_WAS_OFF6, *self.listeners)))
        return " ".join(words)


def read(alias: str, label: str) -> Memory | None:
    """What the alias of a bridge of ours remembers; None for a bridge that is not ours."""
    if alias != label and not alias.startswith(f"{label} "):
        return None
    memory = Memory()
    for word in alias[len(label) :].split():
        name, *listeners = word.split(":")
        if name == _WAS_OFF:
            memory = replace(memory, ipv4=True)
        elif name == _WAS_OFF6:
            memory = replace(memory, ipv6=True, listeners=tuple(listeners))
    return memory


def missing(memory: Memory, label: str, links: Iterable[str], *, ipv6: bool, allowed: bool) -> Memory:
    """What is to be remembered before `switch_on`; `memory` itself where nothing is off. Without leave it is only said.

    `links` are those that may be listening to routers.
    """
    wanted = memory
    if not memory.ipv4 and read_sysctl("ipv4/ip_forward") == "0":
        wanted = replace(wanted, ipv4=True)
    if ipv6 and has_ipv6() and not memory.ipv6 and read_sysctl("ipv6/conf/all/forwarding") == "0":
        wanted = replace(wanted, ipv6=True, listeners=_listeners(links))
    if wanted != memory and not allowed:
        family = "IPv4" if wanted.ipv4 != memory.ipv4 else "IPv6"
        _log.warning("%s forwarding is disabled. Networking will not work.", family)
        return memory
    while len(wanted.alias(label)) > _ALIAS_LIMIT:
        wanted = replace(wanted, listeners=wanted.listeners[:-1])
    return wanted


def switch_on(memory: Memory) -> None:
    """Forward what we have said we would. Raises OSError."""
    if memory.ipv4:
        write_sysctl("ipv4/ip_forward", "1")
    if memory.ipv6:
        for link in memory.listeners:
            _tell(link, "1", "2")
        write_sysctl("ipv6/conf/all/forwarding", "1")


def switch_off(memory: Memory) -> None:
    """Put back what `switch_on` changed. Raises OSError."""
    if memory.ipv4:
        write_sysctl("ipv4/ip_forward", "0")
    if memory.ipv6:
        write_sysctl("ipv6/conf/all/forwarding", "0")
        for link in memory.listeners:
            _tell(link, "2", "1")


def _listeners(links: Iterable[str]) -> tuple[str, ...]:
    """Links that hear router advertisements, and would not any more."""
    return tuple(link for link in sorted(links) if read_sysctl(f"ipv6/conf/{link}/accept_ra") == "1")


def _tell(link: str, before: str, after: str) -> None:
    try:
        if read_sysctl(f"ipv6/conf/{link}/accept_ra") == before:
            write_sysctl(f"ipv6/conf/{link}/accept_ra", after)
    except FileNotFoundError:
        return  # it is gone meanwhile
