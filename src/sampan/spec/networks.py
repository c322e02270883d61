"""Networks, and a container's end points in them."""

from sampan.spec.document import Document, Int64, Names, Pairs, sent, wire


class EndpointIPAMConfig(
    Document,
    frozen=True,
    rename=wire(ipv4_address="IPv4Address", ipv6_address="IPv6Address", link_local_ips="LinkLocalIPs"),
):
    """Addresses that were asked for."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: Names | None = None


_ENDPOINT = {
    "ipam_config": "IPAMConfig",
    "network_id": "NetworkID",
    "endpoint_id": "EndpointID",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "dns_names": "DNSNames",
}


class EndpointSettings(Document, frozen=True, rename=wire(**_ENDPOINT)):
    """A container's place in one network: the wish (down to `gw_priority`) and what it got."""

    ipam_config: EndpointIPAMConfig | None = sent(None)
    links: Names | None = sent(None)
    aliases: Names | None = sent(None)
    mac_address: str = sent("")
    driver_opts: Pairs | None = sent(None)
    gw_priority: Int64 = sent(0)
    network_id: str = sent("")
    endpoint_id: str = sent("")
    gateway: str = sent("")
    ip_address: str = sent("")
    ip_prefix_len: int = sent(0)
    ipv6_gateway: str = sent("")
    global_ipv6_address: str = sent("")
    global_ipv6_prefix_len: int = sent(0)
    dns_names: Names | None = sent(None)


class NetworkingConfig(Document, frozen=True):
    """The networks to join at create, by name."""

    endpoints_config: dict[str, EndpointSettings | None] | None = sent(None)


class IPAMConfig(Document, frozen=True, rename=wire(ip_range="IPRange")):
    """One pool of addresses."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: Pairs | None = None


class IPAM(Document, frozen=True):
    """Address management of a network."""

    driver: str = sent("")
    options: Pairs | None = sent(None)
    config: tuple[IPAMConfig, ...] | None = sent(())


class ConfigReference(Document, frozen=True):
    """The config-only network that this one takes its settings from."""

    network: str = sent("")


class NetworkContainer(
    Document, frozen=True, rename=wire(endpoint_id="EndpointID", ipv4_address="IPv4Address", ipv6_address="IPv6Address")
):
    """A running container in a network; addresses with prefix length."""

    name: str = sent("")
    endpoint_id: str = sent("")
    mac_address: str = sent("")
    ipv4_address: str = sent("")
    ipv6_address: str = sent("")


class NetworkCreateRequest(
    Document, frozen=True, rename=wire(ipam="IPAM", enable_ipv4="EnableIPv4", enable_ipv6="EnableIPv6")
):
    """Body of POST /networks/create. `check_duplicate` was a choice once; names are unique now."""

    name: str = ""
    check_duplicate: bool = False
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: IPAM | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    options: Pairs | None = None
    labels: Pairs | None = None


class NetworkCreateResponse(Document, frozen=True):
    """What create answers."""

    id: str = sent("")
    warning: str = sent("")


class NetworkConnectRequest(Document, frozen=True):
    """Body of POST /networks/{id}/connect."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(Document, frozen=True):
    """Body of POST /networks/{id}/disconnect."""

    container: str = ""
    force: bool = False


class NetworksPruneReport(Document, frozen=True):
    """What prune answers."""

    networks_deleted: Names | None = sent(None)


class PeerInfo(Document, frozen=True, rename=wire(ip="IP")):
    """A node of an overlay network."""

    name: str = sent("")
    ip: str = sent("")


_NETWORK = {"ipam": "IPAM", "enable_ipv4": "EnableIPv4", "enable_ipv6": "EnableIPv6"}


class Network(Document, frozen=True, rename=wire(**_NETWORK)):
    """A network as list and inspect show it; `containers` only in inspect (empty in a list)."""

    name: str = sent("")
    id: str = sent("")
    created: str = sent("")
    scope: str = sent("")
    driver: str = sent("")
    enable_ipv4: bool = sent(False)
    enable_ipv6: bool = sent(False)
    ipam: IPAM = sent(IPAM())
    internal: bool = sent(False)
    attachable: bool = sent(False)
    ingress: bool = sent(False)
    config_from: ConfigReference = sent(ConfigReference())
    config_only: bool = sent(False)
    containers: dict[str, NetworkContainer] = sent({})
    options: Pairs = sent({})
    labels: Pairs = sent({})
    peers: tuple[PeerInfo, ...] | None = None


class NetworkRules(Document, frozen=True):
    """Sampan's own: the rules that concern a network, in nft syntax, and where the kernel's differ from the plan."""

    network: str = sent("")
    text: str = sent("")
    drift: Names = sent(())
