"""A bridge network: a link of the host with a subnet or two, and the places that containers get in it.

What it stands on (forwarding, rules) is `ground`'s, the link itself `bridge_link`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sampan.errors import InvalidParameter, System
from sampan.network.allotment import Allotment
from sampan.network.bridge_link import BridgeLink
from sampan.network.definition import GatewayMode
from sampan.network.driver import NetworkFacts, Wish, checked_mac
from sampan.network.endpoint import Endpoint, host_link_name
from sampan.network.host_state import read_sysctl
from sampan.network.ipam import mac_of
from sampan.network.plan import LinkPlan
from sampan.network.policy import Zone
from sampan.spec.ids import ContainerId, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sampan.network.bridge_settings import BridgeSettings
    from sampan.network.ground import Ground
    from sampan.network.ipam import Subnet
    from sampan.network.options import Interface

_REFUSED_HERE = "user specified IP address is supported on user defined networks only"
_REFUSED = "user specified IP address is supported only when connecting to networks with user configured subnets"


class BridgeDriver:
    """A NetworkDriver. `reserved` tells which subnets belong to networks whose links may not be there yet."""

    def __init__(
        self,
        settings: BridgeSettings,
        ground: Ground,
        reserved: Callable[[], Iterable[Subnet]] = tuple,
    ) -> None:
        self.settings = settings
        self._ground = ground
        self._link = BridgeLink(settings, ground, reserved)
        self._allotted = Allotment(settings.name)

    @property
    def name(self) -> str:
        """The link's."""
        return self._link.name

    @property
    def subnets(self) -> list[Subnet]:
        """Its subnets, IPv4 first; after `open`."""
        return self._allotted.subnets

    def open(self) -> None:
        """See NetworkDriver. Raises System where the host refuses, InvalidParameter for a gateway that lies elsewhere."""
        settings = self.settings
        try:
            interfaces = self._link.open()
        except OSError as error:
            what = "error creating default bridge network" if settings.is_default else f"creating {settings.name}"
            raise System(f"Error initializing network controller: {what}: {error}") from error
        for version in settings.families():
            self._allot(version, interfaces.get(version))

    def _allot(self, version: int, interface: Interface | None) -> None:
        """Have addresses to give out."""
        one = self.settings.families()[version]
        subnet = interface.network if interface is not None else one.subnet
        assert subnet is not None
        kept = one.kept
        if one.gateway is not None:
            if one.gateway not in subnet:
                raise InvalidParameter("default gateway ip must be part of the network")
            kept = (*kept, one.gateway)
        self._allotted.provide(subnet, interface.ip if interface is not None else None, one.within, kept)

    def zone(self) -> Zone:
        """The network as the rules see it; after `open`."""
        settings, families = self.settings, self.settings.families()
        subnets = {version: str(one.subnet) for version, one in self._allotted.families.items()}
        modes = {version: one.mode for version, one in families.items()}
        sources = {version: str(one.source) for version, one in families.items() if one.source is not None}
        return Zone(
            self.name,
            subnets.get(4, ""),
            settings.icc,
            settings.masquerade and not settings.internal,
            settings.internal,
            modes.get(4, GatewayMode.NAT),
            subnets.get(6, ""),
            modes.get(6, GatewayMode.NAT),
            settings.trusted,
            settings.direct,
            sources.get(4, ""),
            sources.get(6, ""),
        )

    def facts(self) -> NetworkFacts:
        """See NetworkDriver."""
        settings = self.settings
        options = (
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", str(settings.icc).lower()),
            ("com.docker.network.bridge.enable_ip_masquerade", str(settings.masquerade).lower()),
            ("com.docker.network.bridge.host_binding_ipv4", settings.bind_ip),
            ("com.docker.network.bridge.name", self.name),
            ("com.docker.network.driver.mtu", str(settings.mtu)),
        )
        told = {version: (str(one.subnet), str(one.gateway)) for version, one in self._allotted.families.items()}
        subnet, gateway = told.get(4, ("", ""))
        subnet6, gateway6 = told.get(6, ("", ""))
        return NetworkFacts(settings.name, settings.id, "bridge", subnet, gateway, options, subnet6, gateway6)

    def slot_plan(self) -> LinkPlan:
        """The pair of a warm slot: everything but addresses and hardware address."""
        prefixes = {version: one.subnet.prefixlen for version, one in self._allotted.families.items()}
        return LinkPlan(
            host_name=host_link_name(),
            bridge_index=self._link.index,
            mac="",
            address="",
            prefix=prefixes.get(4, 0),
            gateway=self._gateway(4),
            mtu=self.settings.mtu,
            # With br_netfilter the kernel translates in the bridge's path: what goes back to the same container then
            # leaves by the port it came in by.
            hairpin="1" in (read_sysctl(f"bridge/bridge-nf-call-{name}") for name in ("iptables", "ip6tables")),
            isolated=not self.settings.icc,
            ipv6=6 in self._allotted.families,
            prefix6=prefixes.get(6, 0),
            gateway6=self._gateway(6),
        )

    def _gateway(self, version: int) -> str:
        """What containers are told as the way out; empty where there is none."""
        one, addresses = self.settings.families().get(version), self._allotted.families.get(version)
        if one is None or addresses is None or self.settings.internal:
            return ""
        found = one.gateway or addresses.gateway
        return str(found) if found is not None else ""

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver. Raises InvalidParameter for an address that this network does not let be chosen."""
        mac = checked_mac(wish.mac)
        chosen = [version for version, one in self.settings.families().items() if one.is_chosen]
        given = self._allotted.take(wish, chosen, _REFUSED_HERE if self.settings.is_default else _REFUSED)
        address, address6 = given.get(4, ""), given.get(6, "")
        plan = replace(
            self.slot_plan(),
            address=address,
            address6=address6,
            mac=mac or mac_of(address or address6),
            link_local=wish.link_local,
            sysctls=wish.sysctls,
        )
        return Endpoint(
            container=container,
            network=self.settings.name,
            network_id=self.settings.id,
            endpoint_id=new_id(),
            address=address,
            prefix=plan.prefix,
            gateway=plan.gateway,
            mac=plan.mac,
            link=plan,
            gw_priority=wish.gw_priority,
            internal=self.settings.internal,
            address6=address6,
            prefix6=plan.prefix6,
            gateway6=plan.gateway6,
            interface=wish.interface,
            interface_prefix=self.settings.interface_prefix,
        )

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver. An address outside the present subnet (`--bip` was changed) is only logged: it has no way out."""
        self._allotted.adopt(endpoint)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self._allotted.release(endpoint)

    def close(self, remove: bool) -> None:
        """See NetworkDriver. Forwarding is switched off again where we switched it on and nobody else seems to need it."""
        if remove and self.name:
            self._ground.dismiss(self.name)
            self._allotted.families.clear()
