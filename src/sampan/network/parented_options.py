"""What the options of a macvlan or ipvlan network say (`-o parent=eth0`), and which can share a parent. Pure; Docker's wording.

Options that are not named here mean nothing to these drivers, in Docker either: they are kept and shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sampan.errors import System
from sampan.network.creation_options import check_size
from sampan.network.definition import NetworkDefinition
from sampan.network.plan import LinkKind
from sampan.spec.ids import NetworkId

PARENT = "parent"
_MODE = {LinkKind.MACVLAN: "macvlan_mode", LinkKind.IPVLAN: "ipvlan_mode"}
_FLAG = "ipvlan_flag"
# The first of each is the default.
_MODES = {LinkKind.MACVLAN: ("bridge", "private", "passthru", "vepa"), LinkKind.IPVLAN: ("l2", "l3", "l3s")}
_FLAGS = ("bridge", "private", "vepa")
_DUMMY = {LinkKind.MACVLAN: "dm-", LinkKind.IPVLAN: "di-"}
_DUMMY_DIGITS = 12

PARENTED = frozenset((LinkKind.MACVLAN.value, LinkKind.IPVLAN.value))
"""The drivers whose networks stand on a link of the host."""


@dataclass(frozen=True, slots=True)
class ParentedOptions:
    """How a network stands on its parent: `parent` is empty where none was named, `flag` is ipvlan's alone."""

    kind: LinkKind
    parent: str
    mode: str
    flag: str = ""

    @property
    def is_straight(self) -> bool:
        """Whether containers lead out by the link itself: no gateway is asked for where everything is routed (l3)."""
        return self.mode in ("l3", "l3s")

    def leads_out(self, internal: bool) -> bool:
        """Whether it has a way out at all: it has none without a parent."""
        return bool(self.parent) and not internal


def parented_options(driver: str, given: Mapping[str, str]) -> ParentedOptions:
    """Raises System (Docker's 500) for a mode or flag that there is not, and for the loopback as a parent; InvalidParameter."""
    check_size(given)
    kind = LinkKind(driver)
    mode = given.get(_MODE[kind]) or _MODES[kind][0]
    if mode not in _MODES[kind]:
        raise System(
            f"requested {kind} mode '{mode}' is not valid, '{_MODES[kind][0]}' mode is the {kind} driver default"
        )
    flag = ""
    if kind is LinkKind.IPVLAN:
        flag = given.get(_FLAG) or _FLAGS[0]
        if flag not in _FLAGS:
            raise System(f"requested ipvlan flag '{flag}' is not valid, '{_FLAGS[0]}' is the ipvlan driver default")
    parent = given.get(PARENT, "")
    if parent == "lo":
        raise System(f"loopback interface is not a valid {kind} parent link")
    return ParentedOptions(kind, parent, mode, flag)


def dummy_name(driver: str, network: NetworkId) -> str:
    """The link that a network stands on where no parent was named, and what Docker calls a network in one message."""
    return f"{_DUMMY[LinkKind(driver)]}{network[:_DUMMY_DIGITS]}"


def check_sharing(wanted: ParentedOptions, present: Iterable[NetworkDefinition]) -> None:
    """A parent bears several macvlan networks, but for passthru, or one of ipvlan. Raises System."""
    for other in present:
        if other.driver != wanted.kind or not wanted.parent or other.parent != wanted.parent:
            continue
        if wanted.kind is LinkKind.IPVLAN:
            name = dummy_name(other.driver, other.id)
            raise System(f"network {name} is already using parent interface {wanted.parent}")
        if wanted.mode == "passthru":
            raise System(
                f"cannot use mode passthru, macvlan network {other.id} is already using parent interface {wanted.parent}"
            )
        if parented_options(other.driver, other.options).mode == "passthru":
            raise System(
                f"macvlan network {other.id} is already using parent interface {wanted.parent} in mode passthru"
            )
