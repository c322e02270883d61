"""A container's places in networks, as data: what was asked, whether it can be, and what inspect shows. Pure."""

import ipaddress

import msgspec

from sampan.daemon.definition import Definition
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.network.bridge import checked_mac
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint
from sampan.runtime.request import NamedPlace
from sampan.spec.networks import EndpointSettings

PREDEFINED = ("bridge", "default", "host", "none")
_DOCKERS = "com.docker.network."
_NAMES_LIMIT = 64
"""aliases and links of one end point"""
_NAME_LIMIT = 255


def asked(definition: Definition) -> dict[str, EndpointSettings]:
    """What a container asks of networks, by the words it was asked with."""
    if definition.endpoints or definition.unplugged:
        return definition.endpoints
    return {definition.host.network_mode or "bridge": EndpointSettings()}


def check(name: str, settings: EndpointSettings, facts: NetworkFacts | None) -> None:
    """Refuse what a network cannot give. `facts` is None where it does not exist yet. Raises InvalidParameter in Docker's words,
    NotImplementedHere for options of Docker's.
    """
    faults = list(_faults(name, settings, facts))
    if faults:
        raise InvalidParameter("invalid endpoint settings:\n" + "\n".join(faults))
    if settings.mac_address:
        checked_mac(settings.mac_address)
    for key in settings.driver_opts or ():
        # Others mean nothing to Docker's drivers either: kept and shown.
        if key.startswith(_DOCKERS):
            raise NotImplementedHere(f"the end point's option {key} is not implemented yet")


def _faults(name: str, settings: EndpointSettings, facts: NetworkFacts | None) -> list[str]:
    faults = []
    ipam = settings.ipam_config
    own = name not in PREDEFINED
    if not own and ipam is not None and (ipam.ipv4_address or ipam.ipv6_address or ipam.link_local_ips):
        faults.append("user specified IP address is supported on user defined networks only")
    if not own and settings.aliases:
        faults.append("network-scoped alias is supported only for containers in user defined networks")
    if not own and settings.links:
        faults.append("links are only supported for user-defined networks")
    if own and ipam is not None:
        if ipam.ipv6_address or ipam.link_local_ips:
            faults.append("IPv6 and link-local addresses are not supported yet")
        if ipam.ipv4_address:
            faults += _address_faults(ipam.ipv4_address, facts)
    names = [*(settings.aliases or ()), *(settings.links or ())]
    if len(names) > _NAMES_LIMIT or any(not _is_name(one) for one in names):
        faults.append("invalid alias or link")
    return faults


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _NAME_LIMIT and text.isprintable() and " " not in text


def _address_faults(text: str, facts: NetworkFacts | None) -> list[str]:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return [f"invalid IPv4 address: {text}"]
    if facts is None:
        return []
    if facts.definition is None or not facts.definition.chosen_subnet:
        return ["user specified IP address is supported only when connecting to networks with user configured subnets"]
    if address not in facts.definition.network:
        return [f"no configured subnet or ip-range contain the IP address {address}"]
    return []


def wish(settings: EndpointSettings, mac: str = "") -> Wish:
    """The part of it that the network has to grant. `mac` is the container's own wish, where the end point has none."""
    ipam = settings.ipam_config
    return Wish(ipam.ipv4_address if ipam else "", settings.mac_address or mac, settings.gw_priority)


def names(definition: Definition, settings: EndpointSettings) -> tuple[str, ...]:
    """What a container is called in a user's network; the first name is what its address is called."""
    config = definition.config
    found = (definition.name, *(settings.aliases or ()), definition.id[:12], config.hostname)
    return tuple(dict.fromkeys(name for name in found if name))


def named(definition: Definition, endpoint: Endpoint, settings: EndpointSettings | None) -> NamedPlace:
    """What sampan-net has to know of a place. On Docker's own networks nobody has a name."""
    settings = settings or EndpointSettings()
    own = endpoint.network not in PREDEFINED
    pairs = []
    for link in settings.links or ():
        name, _, alias = link.partition(":")
        pairs.append((name, alias or name))
    return NamedPlace(
        name=endpoint.network,
        address=endpoint.address,
        names=names(definition, settings) if own else (),
        internal=endpoint.internal,
        links=tuple(pairs) if own else (),
    )


def shown(endpoint: Endpoint, settings: EndpointSettings, dns_names: tuple[str, ...] | None) -> EndpointSettings:
    """What inspect shows of a place: the wish, and what came of it."""
    return msgspec.structs.replace(
        settings,
        mac_address=endpoint.mac,
        network_id=endpoint.network_id,
        endpoint_id=endpoint.endpoint_id,
        gateway=endpoint.gateway,
        ip_address=endpoint.address,
        ip_prefix_len=endpoint.prefix,
        dns_names=dns_names,
    )
