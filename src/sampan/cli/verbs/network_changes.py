"""`network create`, `rm`, `connect`, `disconnect`."""

from __future__ import annotations

from sampan.cli.create.environment import pairs_to_document
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.each import for_each
from sampan.client.documents import text_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ipaddress

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _create(session: Session, parsed: Parsed) -> int:
    body: Document = {
        "Name": parsed.words[0],
        "Driver": parsed.text("driver"),
        "Scope": parsed.text("scope"),
        "IPAM": {
            "Driver": parsed.text("ipam-driver"),
            "Options": pairs_to_document(parsed.many("ipam-opt")),
            "Config": _pools(parsed),
        },
        "Internal": parsed.flag("internal"),
        "Attachable": parsed.flag("attachable"),
        "Ingress": parsed.flag("ingress"),
        "ConfigOnly": parsed.flag("config-only"),
        "Options": pairs_to_document(parsed.many("opt")),
        "Labels": pairs_to_document(parsed.many("label")),
    }
    for name, member in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if parsed.given(name):
            body[member] = parsed.flag(name)
    if parsed.text("config-from"):
        body["ConfigFrom"] = {"Network": parsed.text("config-from")}
    session.say(text_of(session.engine.fetch_document("/networks/create", method="POST", body=body), "Id"))
    return 0


def _pools(parsed: Parsed) -> list[Json]:
    """One entry for each subnet, with the range, gateway and addresses that lie in it."""
    subnets, ranges, gateways = (parsed.many(name) for name in ("subnet", "ip-range", "gateway"))
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise Exit(1, "every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, Document] = {}
    for text in subnets:
        if any(_network(text).overlaps(_network(other)) for other in pools if _same_family(text, other)):
            raise Exit(1, "multiple overlapping subnet configuration is not supported")
        pools[text] = {"Subnet": text}
    for member, one, many, given in (
        ("IPRange", "range", "ranges", ranges),
        ("Gateway", "gateway", "gateways", gateways),
    ):
        for text in given:
            subnet = _subnet_of(text, pools)
            if subnet is None:
                raise Exit(1, f"no matching subnet for {one} {text}")
            if member in pools[subnet]:
                before = text_of(pools[subnet], member)
                raise Exit(1, f"cannot configure multiple {many} ({text}, {before}) on the same subnet ({subnet})")
            pools[subnet][member] = text
    for name, value in pairs_to_document(parsed.many("aux-address")).items():
        text = str(value)
        subnet = _subnet_of(text, pools)
        if subnet is None:
            raise Exit(1, f"no matching subnet for aux-address {text}")
        kept = pools[subnet].setdefault("AuxiliaryAddresses", {})
        assert isinstance(kept, dict)
        kept[name] = text
    return list(pools.values())


def _network(text: str) -> Network:
    import ipaddress

    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Exit(1, f"invalid CIDR address: {text}") from None


def _same_family(one: str, other: str) -> bool:
    return _network(one).version == _network(other).version


def _subnet_of(text: str, pools: dict[str, Document]) -> str | None:
    inner = _network(text)
    return next(
        (subnet for subnet in pools if _same_family(text, subnet) and inner.network_address in _network(subnet)), None
    )


def _remove(session: Session, parsed: Parsed) -> int:
    def act(name: str) -> str:
        try:
            session.engine.order("DELETE", f"/networks/{quoted(name)}")
        except RefusedByDaemon as refusal:
            if refusal.status == 404 and parsed.flag("force"):
                return ""
            raise
        return name

    return for_each(session, parsed.words, act)


def _connect(session: Session, parsed: Parsed) -> int:
    addresses: Document = {}
    for name, member in (("ip", "IPv4Address"), ("ip6", "IPv6Address")):
        if parsed.text(name):
            addresses[member] = parsed.text(name)
    if parsed.many("link-local-ip"):
        addresses["LinkLocalIPs"] = [*parsed.many("link-local-ip")]
    end: Document = {
        "IPAMConfig": addresses or None,
        "Links": [*parsed.many("link")] or None,
        "Aliases": [*parsed.many("alias")] or None,
        "DriverOpts": pairs_to_document(parsed.many("driver-opt")) or None,
        "GwPriority": parsed.number("gw-priority"),
    }
    body: Document = {"Container": parsed.words[1], "EndpointConfig": end}
    session.engine.order("POST", f"/networks/{quoted(parsed.words[0])}/connect", body=body)
    return 0


def _disconnect(session: Session, parsed: Parsed) -> int:
    body: Document = {"Container": parsed.words[1], "Force": parsed.flag("force")}
    session.engine.order("POST", f"/networks/{quoted(parsed.words[0])}/disconnect", body=body)
    return 0


CREATE = Command(
    "[OPTIONS] NETWORK",
    "Create a network",
    _create,
    (
        Option("attachable", "bool", "Let containers be attached by hand (a word of swarm; all are)"),
        Option("aux-address", "map", "Address that no container gets (NAME=ADDRESS)"),
        Option("config-from", "string", "Network to copy the configuration from"),
        Option("config-only", "bool", "Create a configuration only"),
        Option("driver", "string", "Driver of the network", "d", default="bridge"),
        Option("gateway", "strings", "Gateway of the subnet"),
        Option("ingress", "bool", "Create swarm's routing-mesh network"),
        Option("internal", "bool", "No way to the outside"),
        Option("ip-range", "strings", "Part of the subnet that containers get addresses of"),
        Option("ipam-driver", "string", "Driver that manages the addresses", default="default"),
        Option("ipam-opt", "map", "Option of that driver (KEY=VALUE)"),
        Option("ipv4", "bool", "Give IPv4 addresses", default=True),
        Option("ipv6", "bool", "Give IPv6 addresses"),
        Option("label", "list", "Label (KEY=VALUE)"),
        Option("opt", "map", "Option of the driver (KEY=VALUE)", "o"),
        Option("scope", "string", "Scope of the network"),
        Option("subnet", "strings", "Subnet (10.9.0.0/24)"),
    ),
    words=(1, 1),
    examples=("network create back", "network create --internal --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 vault"),
)
REMOVE = Command(
    "NETWORK [NETWORK...]", "Remove networks", _remove,
    (Option("force", "bool", "Do not mind one that is missing", "f"),),
    words=(1, None), completes="network", examples=("network rm back",),
)  # fmt: skip
CONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network, whether it runs or not",
    _connect,
    (
        Option("alias", "strings", "One more name of the container in this network"),
        Option("driver-opt", "strings", "Option of the driver for this end point (KEY=VALUE)"),
        Option("gw-priority", "int", "The network with the highest is the way out"),
        Option("ip", "string", "IPv4 address (of a network with a chosen subnet)"),
        Option("ip6", "string", "IPv6 address"),
        Option("link", "list", "Another container, and what this one calls it (NAME:ALIAS)"),
        Option("link-local-ip", "strings", "Link-local address"),
    ),
    words=(2, 2),
    completes="network",
    examples=("network connect back web", "network connect --alias db --ip 10.9.0.5 vault postgres"),
)
DISCONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network", _disconnect,
    (Option("force", "bool", "Even a container that is not known any more", "f"),),
    words=(2, 2), completes="network", examples=("network disconnect back web",),
)  # fmt: skip
