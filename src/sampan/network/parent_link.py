"""The host's link that a macvlan or ipvlan network stands on: an administrator's, or one that is made here and goes again.

    parent=eth0      is there: nothing of ours
    parent=eth0.50   a VLAN of eth0's, made where it is not there
    no parent        a dummy, which leads nowhere: the network's containers reach each other alone

What is made bears the alias `sampan <instance>`, by which a later daemon knows it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from sampan.errors import System
from sampan.kernel import parented_links, rtnetlink
from sampan.network.creation_options import is_link_name
from sampan.network.ground import PARENT_KINDS

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message, Netlink
    from sampan.kernel.rtnetlink import Link

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


class ParentLink:
    """`label` is the alias of what is made; `is_dummy` says that no parent was named. Errors are System, in Docker's words."""

    def __init__(self, name: str, kind: str, is_dummy: bool, route: Netlink, label: str) -> None:
        self.name = name
        self._kind = kind
        self._is_dummy = is_dummy
        self._route = route
        self._label = label

    def open(self) -> None:
        """See to it that it is there. Raises System where it is not and cannot be made."""
        if self._find(self.name) is not None:
            return
        if self._is_dummy:
            self._make(parented_links.dummy_message(self.name), "")
            return
        above, number = self._parsed()
        made = f"failed to create {self.name} vlan link: "
        self._make(parented_links.vlan_message(self.name, above.index, number), made)

    def index(self) -> int:
        """Where it is now; what was made here is made again. Raises System where it is gone."""
        link = self._find(self.name)
        if link is None and (self._is_dummy or "." in self.name):
            self.open()
            link = self._find(self.name)
        if link is None:
            raise System(f"the requested parent interface {self.name} was not found on the Docker host")
        return int(link.index)

    def remove(self) -> None:
        """Remove it, if it was made here. Raises OSError."""
        link = self._find(self.name)
        if link is not None and link.kind in PARENT_KINDS and link.alias == self._label:
            self._route.request_all([rtnetlink.delete_message(link.index)])

    def _find(self, name: str) -> Link | None:
        return rtnetlink.link_by_name(self._route, name) if is_link_name(name) else None

    def _parsed(self) -> tuple[Link, int]:
        """`eth0.50` as the link eth0 and the number 50."""
        shown = self.name[:255]
        parts = self.name.split(".")
        if len(parts) == 1:
            raise System(f"invalid subinterface vlan name {shown}, example formatting is eth0.10")
        if len(parts) != 2:
            raise System(
                f"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {shown}"
            )
        if not _NUMBER.fullmatch(parts[1]):
            raise System(f"unable to parse a valid vlan id from: {parts[1][:255]} (ex. eth0.10 for vlan 10)")
        above = self._find(parts[0])
        if above is None:
            raise System(f"-o parent interface was not found on the host: {parts[0][:255]}")
        if not 1 <= int(parts[1]) <= 4094:
            raise System(f"vlan id must be between 1-4094, received: {int(parts[1])}")
        return above, int(parts[1])

    def _make(self, message: Message, words: str) -> None:
        try:
            self._route.request_all([message])
        except OSError as error:
            raise System(words + os.strerror(error.errno or 0).lower()) from error
        try:
            # The alias first: what comes up without it would be nobody's.
            self._route.request_all(
                [rtnetlink.alias_message(self.name, self._label), rtnetlink.port_up_message(self.name)]
            )
        except OSError as error:
            self._route.request_all([rtnetlink.delete_message(name=self.name)])
            why = os.strerror(error.errno or 0).lower()
            raise System(f"failed to enable {self.name} the {self._kind} parent link: {why}") from error
