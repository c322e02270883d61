"""Parsers of what the kernel, systemd and criu answer."""

import contextlib
import struct

from sampan.cgroups.dbus import Reader
from sampan.kernel.netlink import attributes
from sampan.kernel.nftables import Chain, Rule
from sampan.kernel.rtnetlink import Address, Link, RouteEntry
from sampan.runtime.criu import parse


def netlink(case: bytes) -> None:
    """Bodies of answers: links, addresses, routes, chains, rules."""
    for kind, value in attributes(case):
        assert kind >= 0
        assert len(value) <= len(case)
    for read in (Link, Address, RouteEntry, Chain, Rule):
        with contextlib.suppress(struct.error, IndexError):
            read(case)


def dbus(case: bytes) -> None:
    """A message's header fields, with variants of any type."""
    Reader(case).get("a(yv)")


def criu(case: bytes) -> None:
    """An answer of criu."""
    parse(case)
