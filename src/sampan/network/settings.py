"""What a bridge is to be: from the daemon's options for the default network, from its definition for a user's own."""

import ipaddress

from sampan.network import definition as words
from sampan.network.bridge_settings import Addressing, BridgeSettings
from sampan.network.creation_options import is_true
from sampan.network.definition import GatewayMode, NetworkDefinition, Pool
from sampan.network.ipam import Address, Subnet, bounds
from sampan.network.options import Interface, NetworkOptions, pools_of
from sampan.spec.ids import InstanceId, NetworkId

DEFAULT_LINK = "sampan0"


def default_bridge(instance: InstanceId, network_id: NetworkId, options: NetworkOptions) -> BridgeSettings:
    """The network `bridge`."""
    own = f"sp{instance[:8]}"
    fixed = options.bridge_name

    def family(version: int, bip: Interface | None, within: Subnet | None, gateway: Address | None) -> Addressing:
        if bip is None and within is not None:
            # As in Docker: where nothing else is said, what containers get is all of the network.
            bip = ipaddress.ip_interface((bounds(within)[0], within.prefixlen)) if version == 4 else _first6(within)
        pools = pools_of(version, options.pools, instance)
        return Addressing(interface=bip, within=within, gateway=gateway, pools=pools)

    return BridgeSettings(
        id=network_id,
        name="bridge",
        links=(fixed,) if fixed else (DEFAULT_LINK, own) if options.default_instance else (own,),
        ipv4=family(4, options.bip, options.fixed_cidr, options.gateway),
        ipv6=family(6, options.bip6, options.fixed_cidr6, options.gateway6) if options.ipv6 else None,
        mtu=options.mtu,
        icc=options.icc,
        masquerade=options.ip_masq,
        bind_ip=options.default_bind_ip,
        direct=options.allow_direct_routing,
    )


def _first6(within: Subnet) -> Interface:
    return ipaddress.IPv6Interface((bounds(within)[0], within.prefixlen))


def user_bridge(definition: NetworkDefinition, direct: bool = False) -> BridgeSettings:
    """A network that a user made; its options have been checked. `direct` is the daemon's, for all networks."""
    given = definition.options
    mode, mode6 = (GatewayMode(given.get(key) or "nat") for key in (words.GATEWAY_MODE, words.GATEWAY_MODE6))
    source, source6 = (given.get(key, "") for key in (words.HOST_IPV4, words.HOST_IPV6))
    inhibited = is_true(given.get(words.INHIBIT_IPV4, "false"))
    return BridgeSettings(
        id=definition.id,
        name=definition.name,
        links=(definition.bridge,),
        ipv4=_addressing(definition.subnet, definition.gateway, definition.pool, mode, source, inhibited),
        ipv6=_addressing(definition.subnet6, definition.gateway6, definition.pool6, mode6, source6),
        mtu=int(given.get(words.MTU) or 1500),
        icc=is_true(given.get(words.ENABLE_ICC, "true")),
        masquerade=is_true(given.get(words.ENABLE_MASQUERADE, "true")),
        internal=definition.internal,
        bind_ip=given.get(words.HOST_BINDING, ""),
        is_default=False,
        interface_prefix=given.get(words.INTERFACE_PREFIX) or "eth",
        trusted=tuple(dict.fromkeys(filter(None, given.get(words.TRUSTED, "").split(":")))),
        direct=direct,
    )


def _addressing(
    subnet_text: str, gateway: str, pool: Pool | None, mode: GatewayMode, source: str, inhibited: bool = False
) -> Addressing | None:
    if not subnet_text:
        return None
    subnet = ipaddress.ip_network(subnet_text)
    return Addressing(
        subnet=subnet,
        interface=ipaddress.ip_interface(f"{gateway}/{subnet.prefixlen}") if gateway and not inhibited else None,
        gateway=ipaddress.ip_address(gateway) if gateway and inhibited else None,
        within=ipaddress.ip_network(pool.ip_range) if pool and pool.ip_range else None,
        kept=tuple(ipaddress.ip_address(one) for one in pool.auxiliary.values()) if pool else (),
        mode=mode,
        is_chosen=pool is not None and bool(pool.subnet),
        inhibited=inhibited,
        source=ipaddress.ip_address(source) if source else None,
    )
