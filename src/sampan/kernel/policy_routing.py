"""Routing by mark, and a table whose one route says that every address is this machine's (rtnetlink(7), ip-rule(8))."""

from __future__ import annotations

import socket
import struct

from sampan.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

_RTM_NEWROUTE = 24
_RTM_NEWRULE = 32
_RULE = struct.Struct("=BBBBBBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_FR_ACT_TO_TBL = 1
_FRA_PRIORITY = 6
_FRA_FWMARK = 10
_FRA_TABLE = 15
_RTA_OIF = 4
_RTA_TABLE = 15
_RTPROT_BOOT = 3
_RT_SCOPE_HOST = 254
_RTN_LOCAL = 2
_LOOPBACK = 1


def mark_rule_message(family: int, mark: int, number: int, priority: int) -> Message:
    """What bears `mark` is routed by table `number`. EEXIST where the rule is there already."""
    body = _RULE.pack(family, 0, 0, 0, number, 0, 0, _FR_ACT_TO_TBL, 0)
    body += u32(_FRA_PRIORITY, priority) + u32(_FRA_FWMARK, mark) + u32(_FRA_TABLE, number)
    return _RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, body, f"rule add fwmark {mark:#x} lookup {number}"


def everything_local_message(family: socket.AddressFamily, number: int) -> Message:
    """In table `number`, every address is one of this machine's. The same again is no error."""
    body = _ROUTE.pack(family, 0, 0, 0, number, _RTPROT_BOOT, _RT_SCOPE_HOST, _RTN_LOCAL, 0)
    body += u32(_RTA_OIF, _LOOPBACK) + u32(_RTA_TABLE, number)
    return _RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"route add local default dev lo table {number}"
