"""A container's places in networks, as data: what was asked, whether it can be, and what inspect shows. Pure."""

import ipaddress
import re

import msgspec

from sampan.daemon.definition import Definition
from sampan.errors import InvalidParameter
from sampan.network.arrangement import Ways
from sampan.network.creation_options import is_link_name
from sampan.network.driver import NetworkFacts, Wish, checked_mac
from sampan.network.endpoint import Endpoint
from sampan.network.plan import LinkPlan
from sampan.network.policy import Forward
from sampan.runtime.request import LinkChange, NamedPlace
from sampan.spec.networks import EndpointSettings

PREDEFINED = ("bridge", "default", "host", "none")
_NAMES_LIMIT = 64
"""aliases and links of one end point"""
_NAME_LIMIT = 255
IFNAME = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
DNS_SERVERS = "com.docker.network.endpoint.dnsservers"
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Kept(msgspec.Struct, frozen=True):
    """What of a container's connections outlives the daemon. `endpoint` is the first of them, the way out."""

    endpoint: Endpoint | None = None
    forwards: tuple[Forward, ...] = ()
    more: tuple[Endpoint, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


def encode_kept(kept: Kept) -> bytes:
    """As it is stored."""
    return _encoder.encode(kept)


def decode_kept(data: bytes) -> Kept:
    """What was stored."""
    return _decoder.decode(data)


def asked(definition: Definition) -> dict[str, EndpointSettings]:
    """What a container asks of networks, by the words it was asked with."""
    if definition.endpoints or definition.unplugged:
        return definition.endpoints
    return {definition.host.network_mode or "bridge": EndpointSettings()}


def check(name: str, settings: EndpointSettings, facts: NetworkFacts | None) -> None:
    """Refuse what a network cannot give. `facts` is None where it does not exist yet. Raises InvalidParameter in Docker's words."""
    faults = list(_faults(name, settings, facts))
    if faults:
        shown = faults[0] if len(faults) == 1 else "* " + "\n* ".join(faults)
        raise InvalidParameter("invalid endpoint settings:\n" + shown)
    if settings.mac_address:
        try:
            checked_mac(settings.mac_address)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid MAC address {settings.mac_address[:_NAME_LIMIT]}") from error
    # Other options mean nothing to Docker's drivers either, its own daemon's words included: kept and shown.
    for server in servers(settings):
        if not _is_address(server):
            raise InvalidParameter(f"invalid {DNS_SERVERS}: {server[:_NAME_LIMIT]!r} is no IP address")
    interface = (settings.driver_opts or {}).get(IFNAME, "")
    if interface and not is_link_name(interface):
        raise InvalidParameter(f"invalid interface name: {interface[:_NAME_LIMIT]!r}")


def _faults(name: str, settings: EndpointSettings, facts: NetworkFacts | None) -> list[str]:
    faults = []
    ipam = settings.ipam_config
    own = name not in PREDEFINED
    if not own and ipam is not None and (ipam.ipv4_address or ipam.ipv6_address):
        faults.append("user specified IP address is supported on user defined networks only")
    if not own and settings.aliases:
        faults.append("network-scoped alias is supported only for containers in user defined networks")
    if not own and settings.links:
        faults.append("links are only supported for user-defined networks")
    if ipam is not None:
        for version, address in ((4, ipam.ipv4_address), (6, ipam.ipv6_address)):
            if address:
                faults += _address_faults(address, version, facts if own else None)
        faults += [f"invalid link-local IP address: {one}" for one in ipam.link_local_ips or () if not _is_address(one)]
    names = [*(settings.aliases or ()), *(settings.links or ())]
    if len(names) > _NAMES_LIMIT or any(not _is_name(one) for one in names):
        faults.append("invalid alias or link")
    faults += [
        f"unrecognised network interface sysctl '{one}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', "
        "'X' must be 'ipv4', 'ipv6' or 'mpls'"
        for one in _sysctls(settings)
        if _sysctl(one) is None
    ]
    return faults


def servers(settings: EndpointSettings) -> tuple[str, ...]:
    """Whom the container asks for names outside, where it was told nothing else (`--dns`). Docker has it on Windows alone."""
    text = (settings.driver_opts or {}).get(DNS_SERVERS, "")
    return tuple(dict.fromkeys(text.split(",")))[:_NAMES_LIMIT] if text else ()


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified and "%" not in text
    except ValueError:
        return False


def _sysctls(settings: EndpointSettings) -> list[str]:
    text = (settings.driver_opts or {}).get(SYSCTLS, "")
    return text.split(",") if text else []


def _sysctl(text: str) -> tuple[str, str] | None:
    """`net.ipv6.conf.IFNAME.forwarding=1` as the name below `net` and the value; None for what is none.

    The command writes all of it in small letters.
    """
    name, equals, value = text.partition("=")
    parts = name.split(".")
    if (
        len(parts) != 5
        or parts[0] != "net"
        or parts[1] not in ("ipv4", "ipv6", "mpls")
        or parts[3] not in ("IFNAME", "ifname")
    ):
        return None
    if (
        not equals
        or not value
        or len(value) > _NAME_LIMIT
        or any(not _WORD.fullmatch(part) for part in (parts[2], parts[4]))
    ):
        return None
    return ".".join((parts[1], parts[2], "IFNAME", parts[4])), value


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _NAME_LIMIT and text.isprintable() and " " not in text


def _address_faults(text: str, version: int, facts: NetworkFacts | None) -> list[str]:
    faults = []
    address = None
    try:
        address = ipaddress.ip_address(text)
        if address.version != version or address.is_unspecified or "%" in text:
            raise ValueError(text)
    except ValueError:
        faults.append(f"invalid IPv{version} address: {text}")
    if facts is None:
        return faults
    chosen = [subnet for subnet in facts.definition.chosen if subnet.version == version] if facts.definition else []
    if not chosen:
        faults.append(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
        )
    elif address is None or not any(address in subnet for subnet in chosen):
        faults.append(f"no configured subnet or ip-range contain the IP address {text}")
    return faults


def wish(settings: EndpointSettings, mac: str = "", facts: NetworkFacts | None = None, owner: str = "") -> Wish:
    """The part of it that the network has to grant. `mac` is the container's own wish where that has none, `owner` its name.

    Of a network whose IPv6 is off although a subnet was given, an address in that is kept and shown, and not given: as in Docker.
    """
    ipam = settings.ipam_config
    off = facts is not None and facts.definition is not None and not facts.subnet6
    address6 = ipam.ipv6_address if ipam and not off else ""
    return Wish(
        address=ipam.ipv4_address if ipam else "",
        mac=settings.mac_address or mac,
        gw_priority=settings.gw_priority,
        address6=str(ipaddress.ip_address(address6)) if address6 else "",
        link_local=tuple(ipam.link_local_ips or ()) if ipam else (),
        interface=(settings.driver_opts or {}).get(IFNAME, ""),
        sysctls=tuple(found for one in _sysctls(settings) if (found := _sysctl(one)) is not None),
        owner=owner,
    )


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
        addresses=endpoint.addresses,
        names=names(definition, settings) if own else (),
        internal=endpoint.internal,
        links=tuple(pairs) if own else (),
    )


def change(out: Ways, add: LinkPlan | None = None, remove: LinkPlan | None = None) -> LinkChange:
    """What is to be done in a running container's network, after which it leads out as `out` says."""
    return LinkChange(add, remove, out.gateway, out.gateway6, out.straight(4), out.straight(6))


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
        ipv6_gateway=endpoint.gateway6,
        global_ipv6_address=endpoint.address6,
        global_ipv6_prefix_len=endpoint.prefix6,
        dns_names=dns_names,
    )
