"""A bridge network: a link of the host with a subnet or two, and the places that containers get in it.

What it stands on (forwarding, rules) is `ground`'s, the link itself `bridge_link`'s.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from sampan.errors import Forbidden, InvalidParameter, System
from sampan.network.bridge_link import BridgeLink
from sampan.network.definition import GatewayMode
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint, host_link_name
from sampan.network.host_state import read_sysctl
from sampan.network.ipam import Addresses, mac_of
from sampan.network.plan import VethPlan
from sampan.network.policy import Zone
from sampan.spec.ids import ContainerId, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sampan.network.bridge_settings import BridgeSettings
    from sampan.network.ground import Ground
    from sampan.network.ipam import Subnet
    from sampan.network.options import Interface

_log = logging.getLogger("sampan.network")


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
        self._addresses: dict[int, Addresses] = {}

    @property
    def name(self) -> str:
        """The link's."""
        return self._link.name

    @property
    def subnets(self) -> list[Subnet]:
        """Its subnets, IPv4 first; after `open`."""
        return [one.subnet for one in self._addresses.values()]

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
        """Have addresses to give out; those that are given out stay so where the subnet is the same."""
        one = self.settings.families()[version]
        subnet = interface.network if interface is not None else one.subnet
        assert subnet is not None
        present = self._addresses.get(version)
        if present is not None and present.subnet == subnet:
            return
        gateway = interface.ip if interface is not None else None
        kept = one.kept
        if one.gateway is not None:
            if one.gateway not in subnet:
                raise InvalidParameter("default gateway ip must be part of the network")
            kept = (*kept, one.gateway)
        self._addresses[version] = Addresses(subnet, gateway, one.within, kept, self.settings.name)

    def zone(self) -> Zone:
        """The network as the rules see it; after `open`."""
        settings, families = self.settings, self.settings.families()
        subnets = {version: str(one.subnet) for version, one in self._addresses.items()}
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
        told = {version: (str(one.subnet), str(one.gateway)) for version, one in self._addresses.items()}
        subnet, gateway = told.get(4, ("", ""))
        subnet6, gateway6 = told.get(6, ("", ""))
        return NetworkFacts(settings.name, settings.id, "bridge", subnet, gateway, options, subnet6, gateway6)

    def slot_plan(self) -> VethPlan:
        """The pair of a warm slot: everything but addresses and hardware address."""
        prefixes = {version: one.subnet.prefixlen for version, one in self._addresses.items()}
        return VethPlan(
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
            ipv6=6 in self._addresses,
            prefix6=prefixes.get(6, 0),
            gateway6=self._gateway(6),
        )

    def _gateway(self, version: int) -> str:
        """What containers are told as the way out; empty where there is none."""
        one, addresses = self.settings.families().get(version), self._addresses.get(version)
        if one is None or addresses is None or self.settings.internal:
            return ""
        found = one.gateway or addresses.gateway
        return str(found) if found is not None else ""

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver. Raises InvalidParameter for an address that this network does not let be chosen.

        One of a family that is switched off here is passed over, as in Docker.
        """
        mac = checked_mac(wish.mac)
        given: dict[int, str] = {}
        try:
            for version, addresses in self._addresses.items():
                given[version] = self._take(version, addresses, wish.address if version == 4 else wish.address6)
        except BaseException:
            for version, address in given.items():
                self._addresses[version].release(address)
            raise
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
            veth=plan,
            gw_priority=wish.gw_priority,
            internal=self.settings.internal,
            address6=address6,
            prefix6=plan.prefix6,
            gateway6=plan.gateway6,
            interface=wish.interface,
            interface_prefix=self.settings.interface_prefix,
        )

    def _take(self, version: int, addresses: Addresses, wanted: str) -> str:
        if not wanted:
            return addresses.allocate()
        if not self.settings.families()[version].is_chosen:
            raise InvalidParameter(
                "user specified IP address is supported on user defined networks only"
                if self.settings.is_default
                else "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        addresses.reserve(wanted)
        return wanted

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver. An address outside the present subnet (`--bip` was changed) is only logged: it has no way out."""
        for version, address in ((4, endpoint.address), (6, endpoint.address6)):
            try:
                if address and version in self._addresses:
                    self._addresses[version].reserve(address)
            except (Forbidden, InvalidParameter) as error:
                _log.warning("container %s keeps the address %s: %s", endpoint.container[:12], address, error)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        for version, address in ((4, endpoint.address), (6, endpoint.address6)):
            if address and version in self._addresses:
                self._addresses[version].release(address)

    def close(self, remove: bool) -> None:
        """See NetworkDriver. Forwarding is switched off again where we switched it on and nobody else seems to need it."""
        if remove and self.name:
            self._ground.dismiss(self.name)
            self._addresses.clear()


def checked_mac(text: str) -> str:
    """A hardware address as it is written; empty for none. Raises InvalidParameter."""
    if not text:
        return ""
    parts = text.replace("-", ":").split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError as error:
        raise InvalidParameter(f"invalid MAC address: {text}") from error
    if len(parts) != 6 or len(octets) != 6 or octets[0] & 1 or not any(octets):
        raise InvalidParameter(f"invalid MAC address: {text}")
    return octets.hex(":")
