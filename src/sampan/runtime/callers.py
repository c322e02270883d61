"""Under whose address the proxy speaks to a container: the caller's own where that is possible, else the bridge's.

Never loopback's: a program in a container may trust that (CVE-2021-20199).

Loaded by the launcher.
"""

from __future__ import annotations

import socket

from sampan.kernel.sockets import speak_as

_LOOPBACK6 = "::1"
_LINK_LOCAL = ("fe80:", "169.254.")
_DISCARD = 9


def speak_for(sock: socket.socket, caller: str, target: str) -> None:
    """Have the unconnected `sock` speak to `target` as `caller`. Left as it is where that cannot be, and the kernel chooses:

    for callers from loopback, from a link of the other side's, of the other family, or by an address of the container's own
    network, to which it would not answer by its gateway.
    """
    if (":" in caller) != (":" in target) or caller == _LOOPBACK6 or caller.startswith(("127.", *_LINK_LOCAL)):
        return
    try:
        if _source_towards(caller) == _source_towards(target):
            return
        speak_as(sock, caller)
    except OSError:
        return  # a kernel without it, or an address that it takes for none


def _source_towards(address: str) -> str:
    """The address of ours by which `address` is reached; "" where it is not."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.connect((address, _DISCARD))
        except OSError:
            return ""
        return str(asking.getsockname()[0])
