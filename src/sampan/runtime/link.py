"""The container's link, or its end of a pair, from inside its network namespace. What is sent to the kernel is `network.attach`'s.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import socket

from sampan.network.attach import claim_inside, configure_inside, create_link, park_inside
from sampan.network.resolver_sockets import open_here
from sampan.runtime.messages import NET_SOCKET, Kind, send
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_SECONDS = 2.0


def create(plan: dict[str, Any], pid: int) -> None:
    """The link is made, or the pair: outside, by the builder, for the network namespace of process `pid`."""
    try:
        create_link(plan, pid)
    except OSError as error:
        raise StepFailed("network", str(error.strerror or error), error.errno or 0, "create") from error


def park_link(context: Context, name: str, ipv6: bool) -> None:
    """The interface of a parked slot comes up, without an address."""
    context.link = park_inside(name, context.bare_proc, ipv6)


def interface(context: Context, plan: dict[str, Any]) -> None:
    """The interface gets its address and route; a parked one is up already."""
    if context.link is not None:
        claim_inside(plan, context.link)
        return
    context.link = configure_inside(plan, context.bare_proc)


def further_interface(context: Context, plan: dict[str, Any]) -> None:
    """The interface of one more network; the neighbours are told at once."""
    inside = configure_inside(plan, context.bare_proc)
    inside.announce(plan["mac"])
    inside.close()


def resolver(context: Context, directory: str, container: str) -> None:
    """The sockets of the container's resolver, and the rules that lead to them; sampan-net gets them, ahead of the program.

    Where it is not there at the moment, the daemon is about to make another, and to have it open sockets of its own.
    """
    udp, tcp = open_here()
    pidfd = os.pidfd_open(os.getpid())
    channel = context.names or call_names(directory)
    try:
        if channel is not None:
            send(channel, Kind.SERVING, {"id": container}, [udp.fileno(), tcp.fileno(), pidfd])
    except (ConnectionError, TimeoutError):
        pass
    finally:
        if channel is not None:
            channel.close()
        udp.close()
        tcp.close()
        os.close(pidfd)


def call_names(directory: str) -> socket.socket | None:
    """A connection to sampan-net, which listens in `directory`; None where it is not there."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.settimeout(_SECONDS)
    try:
        # By the directory: a path may be longer than a socket's name.
        os.chdir(directory)
        channel.connect(NET_SOCKET)
    except (ConnectionError, FileNotFoundError, TimeoutError):
        channel.close()
        return None
    finally:
        os.chdir("/")
    return channel


def announce(context: Context, mac: str) -> None:
    """The neighbours are told once more, now that the bridge forwards; then the socket goes."""
    if context.link is not None:
        context.link.announce(mac)
        context.link.close()
        context.link = None


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "park_link": ("isolation", park_link),
    "interface": ("isolation", interface),
    "further_interface": ("isolation", further_interface),
    "resolver": ("isolation", resolver),
    "announce": ("isolation", announce),
}
"""Name in a plan → principle and function."""
