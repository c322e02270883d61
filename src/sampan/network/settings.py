"""What a bridge is to be: from the daemon's options for the default network, from its definition for a user's own."""

import ipaddress

from sampan.network import definition as words
from sampan.network.bridge import BridgeSettings
from sampan.network.creation import is_true
from sampan.network.definition import NetworkDefinition
from sampan.network.options import NetworkOptions
from sampan.spec.ids import InstanceId, NetworkId

DEFAULT_LINK = "sampan0"


def default_bridge(instance: InstanceId, network_id: NetworkId, options: NetworkOptions) -> BridgeSettings:
    """The network `bridge`."""
    own = f"sp{instance[:8]}"
    fixed = options.bridge_name
    return BridgeSettings(
        id=network_id,
        name="bridge",
        links=(fixed,) if fixed else (DEFAULT_LINK, own) if options.default_instance else (own,),
        interface=options.bip,
        within=options.fixed_cidr,
        pools=options.pools,
        mtu=options.mtu,
        icc=options.icc,
        masquerade=options.ip_masq,
        bind_ip=options.default_bind_ip,
    )


def user_bridge(definition: NetworkDefinition) -> BridgeSettings:
    """A network that a user made; its options have been checked."""
    pool, given = definition.pool, definition.options
    prefix = definition.network.prefixlen
    return BridgeSettings(
        id=definition.id,
        name=definition.name,
        links=(definition.bridge,),
        interface=ipaddress.IPv4Interface(f"{definition.gateway}/{prefix}"),
        within=ipaddress.IPv4Network(pool.ip_range) if pool and pool.ip_range else None,
        kept=tuple(ipaddress.IPv4Address(one) for one in pool.auxiliary.values()) if pool else (),
        mtu=int(given.get(words.MTU) or 1500),
        icc=is_true(given.get(words.ENABLE_ICC, "true")),
        masquerade=is_true(given.get(words.ENABLE_MASQUERADE, "true")),
        internal=definition.internal,
        bind_ip=given.get(words.HOST_BINDING, ""),
        is_default=False,
        static_addresses=definition.chosen_subnet,
    )
