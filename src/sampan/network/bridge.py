"""The default bridge: a link of the host with a subnet, and the rules and settings that make it a network.

The bridge outlives the daemon and is found again by its name and alias (`sampan <instance>`); the alias also remembers that
forwarding was off before we came. docs/networking.md says what is set on the host and why.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from sampan.errors import Conflict, InvalidParameter, System
from sampan.kernel import rtnetlink
from sampan.kernel.iptables_legacy import forward_policy_is_drop
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint, host_link_name
from sampan.network.firewall import Firewall, Policy
from sampan.network.host_state import networks_in_use, others_forward, read_sysctl, write_sysctl
from sampan.network.ipam import Addresses, first_free_pool, mac_of
from sampan.network.options import NetworkOptions, default_pools
from sampan.network.passage import Passage, is_docker_bridge
from sampan.network.plan import VethPlan
from sampan.spec.ids import ContainerId, InstanceId, NetworkId, new_id

if TYPE_CHECKING:
    from sampan.kernel.netlink import Netlink
    from sampan.kernel.rtnetlink import Link

_log = logging.getLogger("sampan.network")

DEFAULT_NAME = "sampan0"
_SWITCHED_ON = " forwarding-was-off"
_CHOICES = 8


class BridgeDriver:
    """A NetworkDriver. `route` and `netfilter` are sockets of the host's network namespace; the facade owns them."""

    def __init__(
        self, instance: InstanceId, network_id: NetworkId, options: NetworkOptions, route: Netlink, netfilter: Netlink
    ) -> None:
        self._instance = instance
        self._id = network_id
        self._options = options
        self._route = route
        self._netfilter = netfilter
        self._label = f"sampan {instance}"
        self._index = 0
        self.name = ""
        self._addresses: Addresses | None = None
        self._firewall: Firewall | None = None
        self._passage: Passage | None = None

    @property
    def addresses(self) -> Addresses:
        """Which addresses are given out; after `open`."""
        if self._addresses is None:
            raise System("the default bridge network is not up")
        return self._addresses

    @property
    def firewall(self) -> Firewall:
        """The table of rules; after `open`."""
        if self._firewall is None:
            raise System("the default bridge network is not up")
        return self._firewall

    def open(self) -> None:
        """See NetworkDriver. Raises System where the host refuses."""
        try:
            self._open()
        except OSError as error:
            raise System(
                f"Error initializing network controller: error creating default bridge network: {error}"
            ) from error

    def _open(self) -> None:
        link = self._find()
        interface = self._settle_link(link)
        if self._addresses is None or self._addresses.subnet != interface.network:
            self._addresses = Addresses(interface.network, interface.ip, self._options.fixed_cidr)
        guard = self._switch_forwarding_on()
        policy = Policy(self.name, str(interface.network), self._options.icc, self._options.ip_masq, guard)
        self._passage = Passage(self._netfilter, self._label, self.name)
        earlier = self._firewall
        self._firewall = Firewall(self._netfilter, self._instance, policy, self._let_through)
        self._firewall.inherit(earlier)
        self._firewall.install()
        self._let_through()
        self._warn_of_legacy_rules()

    def facts(self) -> NetworkFacts:
        """See NetworkDriver."""
        subnet, gateway = self.addresses.subnet, self.addresses.gateway
        options = (
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", str(self._options.icc).lower()),
            ("com.docker.network.bridge.enable_ip_masquerade", str(self._options.ip_masq).lower()),
            ("com.docker.network.bridge.host_binding_ipv4", self._options.default_bind_ip),
            ("com.docker.network.bridge.name", self.name),
            ("com.docker.network.driver.mtu", str(self._options.mtu)),
        )
        return NetworkFacts("bridge", self._id, "bridge", str(subnet), str(gateway), options)

    def slot_plan(self) -> VethPlan:
        """The pair of a warm slot: everything but address and hardware address."""
        return VethPlan(
            host_name=host_link_name(),
            bridge_index=self._index,
            mac="",
            address="",
            prefix=self.addresses.subnet.prefixlen,
            gateway=str(self.addresses.gateway),
            mtu=self._options.mtu,
            # With br_netfilter the kernel translates in the bridge's path: what goes back to the same container then
            # leaves by the port it came in by.
            hairpin=read_sysctl("bridge/bridge-nf-call-iptables") == "1",
            isolated=not self._options.icc,
        )

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver. Raises InvalidParameter for an address of one's own, as Docker does on its default bridge."""
        if wish.address:
            raise InvalidParameter("user specified IP address is supported on user defined networks only")
        mac = _checked_mac(wish.mac)
        address = self.addresses.allocate()
        plan = replace(self.slot_plan(), address=address, mac=mac or mac_of(address))
        return Endpoint(
            container=container,
            network="bridge",
            network_id=self._id,
            endpoint_id=new_id(),
            address=address,
            prefix=plan.prefix,
            gateway=plan.gateway,
            mac=plan.mac,
            veth=plan,
        )

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver. An address outside the present subnet (`--bip` was changed) is only logged: it has no way out."""
        try:
            self.addresses.reserve(endpoint.address)
        except (Conflict, InvalidParameter) as error:
            _log.warning("container %s keeps the address %s: %s", endpoint.container[:12], endpoint.address, error)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self.addresses.release(endpoint.address)

    def close(self, remove: bool) -> None:
        """See NetworkDriver. Forwarding is switched off again where we switched it on and nobody else seems to need it."""
        if not remove or self._firewall is None or self._passage is None:
            return
        self._passage.remove()
        self._firewall.uninstall()
        link = rtnetlink.link_by_index(self._route, self._index)
        if link is not None and link.alias.startswith(self._label):
            self._route.request_all([rtnetlink.delete_message(self._index)])
            if link.alias.endswith(_SWITCHED_ON) and not others_forward(self._route, self._index):
                write_sysctl("ipv4/ip_forward", "0")
        self._firewall = self._passage = self._addresses = None

    def _let_through(self) -> None:
        assert self._passage is not None
        docker = any(chain == "DOCKER-USER" for _, _, chain in self._passage.places())
        bridges = [link.name for link in rtnetlink.links(self._route, "bridge")] if docker else []
        self._passage.reconcile(sorted(name for name in bridges if is_docker_bridge(name)))

    def _warn_of_legacy_rules(self) -> None:
        """Rules of iptables-legacy are a blob that only its own command rewrites: the administrator is told."""
        if forward_policy_is_drop():
            _log.warning(
                "the chain FORWARD of iptables-legacy drops what it does not know, and with it all traffic of %(bridge)s; "
                "let it through by: iptables-legacy -I FORWARD -i %(bridge)s -j ACCEPT; "
                "iptables-legacy -I FORWARD -o %(bridge)s -j ACCEPT",
                {"bridge": self.name},
            )

    def _find(self) -> Link | None:
        """Our bridge; sets `name`, to one that is ours or free."""
        own = f"sp{self._instance[:8]}"
        fixed = self._options.bridge_name
        names = (fixed,) if fixed else (DEFAULT_NAME, own) if self._options.default_instance else (own,)
        free = ""
        for name in names:
            link = rtnetlink.link_by_name(self._route, name)
            if link is not None and link.kind == "bridge" and _is_alias_of(link.alias, self._label):
                self.name, self._index = name, link.index
                return link
            if link is None:
                free = free or name
        if not free:
            raise OSError(errno.EEXIST, f"the link {names[-1]} exists and is not this instance's")
        self.name = free
        return None

    def _settle_link(self, link: Link | None) -> ipaddress.IPv4Interface:
        """Make the bridge what it should be; its own address is the gateway of the containers."""
        for _ in range(_CHOICES):
            present = self._present_address(link)
            wanted = self._options.bip or present or self._choose()
            link = link or self._create(wanted)
            self._dress(link, present, wanted)
            if self._options.bip or present or not self._yields(wanted):
                return wanted
            self._route.request_all(
                [rtnetlink.remove_address_message(self._index, wanted.ip.packed, wanted.network.prefixlen)]
            )
        raise OSError(errno.EADDRINUSE, "no subnet stayed free while it was taken")

    def _create(self, interface: ipaddress.IPv4Interface) -> Link:
        mac = bytes.fromhex(mac_of(str(interface.ip)).replace(":", ""))
        self._route.request_all(
            [
                rtnetlink.bridge_message(self.name, mac, self._options.mtu),
                rtnetlink.alias_message(self.name, self._label),
            ]
        )
        link = rtnetlink.link_by_name(self._route, self.name)
        if link is None:
            raise OSError(errno.ENODEV, f"the bridge {self.name} went away while it was made")
        self._index = link.index
        return link

    def _dress(self, link: Link, present: ipaddress.IPv4Interface | None, wanted: ipaddress.IPv4Interface) -> None:
        try:
            write_sysctl(f"ipv6/conf/{self.name}/disable_ipv6", "1")
        except FileNotFoundError:
            pass  # a kernel without IPv6
        messages = []
        if present is not None and present != wanted:
            messages.append(rtnetlink.remove_address_message(link.index, present.ip.packed, present.network.prefixlen))
        if present != wanted:
            messages.append(rtnetlink.address_message(link.index, wanted.ip.packed, wanted.network.prefixlen))
        self._route.request_all([*messages, rtnetlink.up_message(link.index, mtu=self._options.mtu)])
        # Lets the host's own 127.0.0.1:port reach a container; the table drops what others would make of it.
        write_sysctl(f"ipv4/conf/{self.name}/route_localnet", "1")
        # Isolated ports do not hear each other's questions: the host answers for everybody, at once, and its rules decide.
        write_sysctl(f"ipv4/conf/{self.name}/proxy_arp_pvlan", "0" if self._options.icc else "1")
        write_sysctl(f"ipv4/neigh/{self.name}/proxy_delay", "80" if self._options.icc else "0")

    def _present_address(self, link: Link | None) -> ipaddress.IPv4Interface | None:
        if link is None:
            return None
        for address in rtnetlink.addresses(self._route):
            if address.index == link.index:
                return ipaddress.IPv4Interface((int.from_bytes(address.address, "big"), address.prefix))
        return None

    def _choose(self) -> ipaddress.IPv4Interface:
        """The first subnet of the pools that overlaps nothing of the host's; its first address."""
        taken = networks_in_use(self._route, self._index)
        for pool in self._options.pools or default_pools():
            subnet = first_free_pool(pool.base.subnets(new_prefix=pool.size), taken)
            if subnet is not None:
                return ipaddress.IPv4Interface((int(subnet.network_address) + 1, subnet.prefixlen))
        raise OSError(errno.EADDRNOTAVAIL, "all predefined address pools have been fully subnetted")

    def _yields(self, wanted: ipaddress.IPv4Interface) -> bool:
        """Whether another took the same subnet in the same moment and was first: the lower index keeps it."""
        return any(
            address.index not in (0, self._index)
            and address.index < self._index
            and ipaddress.IPv4Address(address.address) in wanted.network
            for address in rtnetlink.addresses(self._route)
        )

    def _switch_forwarding_on(self) -> bool:
        """Whether it is us who switched forwarding on: then only bridges may use it (Docker sets a policy for that)."""
        link = rtnetlink.link_by_index(self._route, self._index)
        if link is not None and link.alias.endswith(_SWITCHED_ON):
            if self._options.ip_forward:
                write_sysctl("ipv4/ip_forward", "1")
            return True
        if read_sysctl("ipv4/ip_forward") != "0":
            return False
        if not self._options.ip_forward:
            _log.warning("IPv4 forwarding is disabled. Networking will not work.")
            return False
        # Noted before it is done: a crash in between must not lose it.
        self._route.request_all([rtnetlink.alias_message(self.name, self._label + _SWITCHED_ON)])
        write_sysctl("ipv4/ip_forward", "1")
        return True


def _is_alias_of(alias: str, label: str) -> bool:
    return alias in (label, label + _SWITCHED_ON)


def _checked_mac(text: str) -> str:
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
