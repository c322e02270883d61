"""Links that stand on another one, their parent: macvlan, ipvlan, VLAN (ip-link(8)); and the dummy, a parent for want of one.

As in `rtnetlink`, each function is one request for `Netlink.request_all`. The parent is looked up in the network namespace of the
socket. Loaded by the launcher.
"""

from __future__ import annotations

import socket
import struct

from sampan.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, attribute, nested, text, u16, u32
from sampan.kernel.rtnetlink import RTM_NEWLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_LINK = 5
_IFLA_LINKINFO = 18
_IFLA_NET_NS_PID = 19
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_MACVLAN_MODE = 1
_IFLA_IPVLAN_MODE = 1
_IFLA_IPVLAN_FLAGS = 2
_IFLA_VLAN_ID = 1

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}

_LINK = struct.Struct("=BxHiII")


def macvlan_message(index: int, name: str, parent: int, mode: str, mac: bytes, pid: int) -> Message:
    """A link with a hardware address of its own on the link `parent`, down, in the network namespace of process `pid`.

    `index` is the number that it gets there, so that it is known by something that no program inside can change; it must be free
    in both namespaces (EEXIST, EBUSY). With mode passthru the parent takes on `mac` for as long as the link is there. EINVAL where
    the parent is taken (passthru), EBUSY where it has links of another kind, EOPNOTSUPP in a kernel without macvlan.
    """
    data = u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode])
    body = _parented("macvlan", index, name, parent, pid, data)
    if mac:
        body += attribute(_IFLA_ADDRESS, mac)
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"macvlan add {name} on {parent} mode={mode} pid={pid}"


def ipvlan_message(index: int, name: str, parent: int, mode: str, flag: str, pid: int) -> Message:
    """A link that shares the hardware address of the link `parent`; otherwise as `macvlan_message`."""
    data = u16(_IFLA_IPVLAN_MODE, IPVLAN_MODES[mode]) + u16(_IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[flag])
    body = _parented("ipvlan", index, name, parent, pid, data)
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"ipvlan add {name} on {parent} mode={mode} {flag} pid={pid}"


def _parented(kind: str, index: int, name: str, parent: int, pid: int, data: bytes) -> bytes:
    return (
        _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        + text(_IFLA_IFNAME, name)
        + u32(_IFLA_LINK, parent)
        + u32(_IFLA_NET_NS_PID, pid)
        + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind), nested(_IFLA_INFO_DATA, data))
    )


def vlan_message(name: str, parent: int, number: int) -> Message:
    """The part of the link `parent` whose frames bear the VLAN `number` (1 to 4094), down. EEXIST where name or number is taken."""
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "vlan"), nested(_IFLA_INFO_DATA, u16(_IFLA_VLAN_ID, number)))
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(_IFLA_IFNAME, name) + u32(_IFLA_LINK, parent) + info
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"vlan add {name} on {parent} id={number}"


def dummy_message(name: str) -> Message:
    """A link that leads nowhere, down."""
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(_IFLA_IFNAME, name)
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "dummy"))
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"dummy add {name}"
