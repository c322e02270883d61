"""Parsers of what the kernel, systemd and criu answer."""

import contextlib
import struct

from sampan.cgroups.dbus import Reader
from sampan.cgroups.hierarchy import parse_mountinfo
from sampan.cgroups.victims import parse as parse_victim
from sampan.host.ps import process
from sampan.kernel.netlink import attributes
from sampan.kernel.nftables import Chain, Rule
from sampan.kernel.rtnetlink import Address, Link, RouteEntry
from sampan.network.counters import Counters
from sampan.network.counters import parse as parse_counters
from sampan.runtime.checkpoint_plan import mount_points
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


_STAT = b"7 (%b) S 1 7 7 0 -1 4194560 0 0 0 0 5 6 0 0 20 0 1 0 99 4096 10 18446744073709551615" + b" 0" * 27 + b"\n"
_STATUS = b"Name:\t%b\nUid:\t1\t2\t1\t1\nGid:\t3\t4\t3\t3\nVmLck:\t       0 kB\n"
_DEVICES = b"one\ntwo\neth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n%b: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
_MOUNTS = b"36 35 0:9 / %b rw - tmpfs t rw\n37 35 0:8 / /sys/fs/cgroup rw - cgroup2 c rw\n"


def names(case: bytes) -> None:
    """What programs call themselves, their places and links, as the kernel writes it: it changes nothing that is told beside it."""
    name = case.replace(b"\0", b"")
    comm = name[:15]
    escaped = comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    found = process._parse(7, _STAT % comm, _STATUS % escaped, case, b"0")
    assert (found.state, found.ppid, found.uids, found.gids, found.resident) == ("S", 1, (1, 2), (3, 4), 0), found
    assert (found.comm + found.arguments).isprintable()
    link = bytes(byte for byte in comm if byte not in b" \t\n\v\f\r/:") or b"x"
    if link != b"eth0":
        told = parse_counters((_DEVICES % link).decode("ascii", "replace"), {"eth0"})["eth0"]
        assert told == Counters(1, 2, 3, 4, 5, 6, 7, 8), told
    place = b"/" + b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes((byte,)) for byte in name)
    text = (_MOUNTS % place).decode("utf-8", "surrogateescape")
    assert mount_points(text) == {36: "/" + name.decode("utf-8", "surrogateescape"), 37: "/sys/fs/cgroup"}
    assert [mount.place for mount in parse_mountinfo(text)] == ["/sys/fs/cgroup"]
    parse_victim(case.decode("utf-8", "replace"))
