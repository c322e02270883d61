"""What daemon.json says of networks, as the network room takes it."""

from ipaddress import ip_address, ip_network

from sampan.daemon.config import DaemonConfig
from sampan.network.firewall_mark import parse_mark
from sampan.network.options import NetworkOptions, parse_bip, parse_pool
from sampan.network.outside import SOCKET_NAME


def network_options(config: DaemonConfig) -> NetworkOptions:
    """Raises InvalidParameter for an address that is none."""
    return NetworkOptions(
        default_instance=str(config.data_root) == "/var/lib/sampan",
        disabled=not config.bridge,
        bip=parse_bip(config.bip) if config.bip else None,
        fixed_cidr=ip_network(config.fixed_cidr) if config.fixed_cidr else None,
        gateway=ip_address(config.default_gateway) if config.default_gateway else None,
        ipv6=config.ipv6,
        bip6=parse_bip(config.bip6, "bip6") if config.bip6 else None,
        fixed_cidr6=ip_network(config.fixed_cidr6) if config.fixed_cidr6 else None,
        gateway6=ip_address(config.default_gateway6) if config.default_gateway6 else None,
        pools=tuple(parse_pool(pool.base, pool.size) for pool in config.address_pools),
        mtu=config.mtu,
        icc=config.icc,
        ip_masq=config.ip_masq,
        ip_forward=config.ip_forward,
        ip6tables=config.ip6tables,
        userland_proxy=config.userland_proxy,
        allow_direct_routing=config.allow_direct_routing,
        accepted_mark=parse_mark(config.bridge_accept_fwmark),
        judged=config.published_ports == "judged",
        default_bind_ip=config.publish_ip,
        network_options=config.network_options,
        keeper=str(config.exec_root / SOCKET_NAME) if config.rootless else "",
    )
