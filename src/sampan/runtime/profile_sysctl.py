"""Which sysctls a container may set: those that the kernel keeps in a namespace of the container's own.

The others are the host's (CVE-2022-0811). Keys are judged as text here, before anything is made; the runtime writes them
through a descriptor of a /proc of its own.
"""

import re
from collections.abc import Mapping

from sampan.errors import InvalidParameter

PRIVATE_NETWORK = {
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv4.ip_unprivileged_port_start": "0",
}
"""Docker's own in a private network namespace: ping and low ports need no capability. A request may say otherwise."""

_IPC = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_IPC_PREFIX = "fs.mqueue."
_NETWORK_PREFIX = "net."
_PART = re.compile(r"[A-Za-z0-9_\-]+(?:/[A-Za-z0-9_\-]+)*")
_OTHER_SEPARATOR = str.maketrans("./", "/.")
_LONGEST_VALUE = 4096


class BadSysctl(InvalidParameter):
    """A sysctl that no container may set, or this one may not."""


def requested(asked: Mapping[str, str], *, own_network: bool, own_ipc: bool, own_uts: bool) -> dict[str, str]:
    """The request's sysctls with dots between the parts of a key; a slash then stands for a dot in a name (sysctl(8)).

    Raises BadSysctl, in runc's words, for a key that is not in a namespace of the container's own, and for keys
    and values that are not plain text.
    """
    return {_allowed(key, value, own_network, own_ipc, own_uts): value for key, value in asked.items()}


def path(key: str) -> str:
    """Where below /proc/sys a dotted key lies."""
    return key.translate(_OTHER_SEPARATOR)


def _allowed(given: str, value: str, own_network: bool, own_ipc: bool, own_uts: bool) -> str:
    key = _dotted(given)
    if not all(_PART.fullmatch(part) for part in key.split(".")):
        raise BadSysctl(f'invalid sysctl "{given}"')
    if len(value) > _LONGEST_VALUE or not all(character == "\t" or character.isprintable() for character in value):
        raise BadSysctl(f'invalid value of sysctl "{given}"')
    if key in _IPC or key.startswith(_IPC_PREFIX):
        if not own_ipc:
            raise BadSysctl(f'sysctl "{key}" is not allowed in the hosts ipc namespace')
    elif key.startswith(_NETWORK_PREFIX):
        if not own_network:
            raise BadSysctl(f'sysctl "{key}" not allowed in host network namespace')
    elif key == "kernel.hostname" and own_uts:
        raise BadSysctl(f'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field')
    elif key != "kernel.domainname" or not own_uts:
        raise BadSysctl(f'sysctl "{key}" is not in a separate kernel namespace')
    return key


def _dotted(key: str) -> str:
    """The first separator decides which one separates (sysctl.d(5)): `net/ipv4/conf/eth0.1` is `net.ipv4.conf.eth0/1`."""
    dot, slash = key.find("."), key.find("/")
    if slash >= 0 and (dot < 0 or slash < dot):
        return key.translate(_OTHER_SEPARATOR)
    return key
