"""A small world of throwaway network namespaces: a host, its neighbour on the same wire, and containers.

Everything happens in the test's own process: a socket belongs to the namespace it was made in, so one process can talk from
all of them.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from sampan.kernel import rtnetlink
from sampan.kernel.namespaces import Clone, setns, unshare
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import attach
from sampan.network.arrangement import ways
from sampan.network.creation import define
from sampan.network.definition import NetworkDefinition
from sampan.network.driver import Wish
from sampan.network.endpoint import Endpoint, Published
from sampan.network.modes import parse_mode
from sampan.network.networks import Networks
from sampan.network.options import NetworkOptions
from sampan.network.ports import parse_ports
from sampan.spec.ids import ContainerId, InstanceId, NetworkId, new_id
from sampan.spec.networks import NetworkCreateRequest
from sampan.spec.ports import PortBinding

HOST = "10.99.0.1"
NEIGHBOUR = "10.99.0.2"
HOST6 = "fd99::1"
NEIGHBOUR6 = "fd99::2"
SECONDS = 2.0


_sockets: list[socket.socket] = []


class Namespace:
    """A network namespace by descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @contextmanager
    def entered(self) -> Iterator[None]:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        setns(self.descriptor, Clone.NEWNET)
        try:
            yield
        finally:
            setns(before, Clone.NEWNET)
            os.close(before)

    def socket(self, kind: int, address: str = "", port: int = 0) -> socket.socket:
        """Of the address's family; "::" is IPv6 alone."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            sock = socket.socket(family, kind)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _sockets.append(sock)
        sock.settimeout(SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        return sock


def new_namespace() -> Namespace:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    unshare(Clone.NEWNET)
    made = Namespace(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    attach.lo_up()
    setns(before, Clone.NEWNET)
    os.close(before)
    return made


_running: list["Container"] = []


class Container:
    """A process that only waits, in a network namespace of its own, attached as the runtime does it."""

    def __init__(self, networks: Networks, mode: str = "bridge", wish: Wish = Wish()) -> None:  # noqa: B008 - immutable
        self.networks = networks
        self.pid = os.fork()
        if self.pid == 0:
            try:
                unshare(Clone.NEWNET)
                os.closerange(0, 1024)
                signal.alarm(120)
                signal.pause()
            finally:
                os._exit(0)
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{self.pid}/ns/net").st_ino == own:
            os.sched_yield()
        self.namespace = Namespace(os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        self.endpoint: Endpoint = networks.connect(ContainerId(new_id()), parse_mode(mode), wish)
        self.published = Published()
        _running.append(self)
        assert self.endpoint.link is not None
        plan = asdict(self.endpoint.link)
        attach.create_link(plan, self.pid)
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with self.namespace.entered():
            inside = attach.configure_inside(plan, proc)
        # The bridge begins to forward on a new port when a worker of the kernel has seen the carrier.
        time.sleep(0.02)
        inside.announce(plan["mac"])
        inside.close()
        os.close(proc)

    @property
    def address(self) -> str:
        return self.endpoint.address

    @property
    def address6(self) -> str:
        return self.endpoint.address6

    def publish(self, **ports: str) -> None:
        """`tcp80="127.0.0.1:8080"`: container port 80/tcp; ":8080" names no address."""
        bindings = {}
        for name, where in ports.items():
            host, _, port = where.rpartition(":")
            bindings[f"{name[3:]}/{name[:3]}"] = (PortBinding(host_ip=host, host_port=port),)
        self.published = self.networks.publish(ways([self.endpoint]), "c", parse_ports(bindings))

    def end(self) -> None:
        """Kill it and give everything back; again is allowed."""
        if self not in _running:
            return
        _running.remove(self)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.namespace.descriptor)
        self.published.close()
        self.networks.release(self.endpoint, self.published.forwards)


class Lab:
    """The test stands in the namespace `host`; `neighbour` is joined to it by a wire and routes the containers' subnet to it."""

    def __init__(self) -> None:
        self._origin = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.neighbour = new_namespace()
        unshare(Clone.NEWNET)
        self.host = Namespace(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        attach.lo_up()
        with Netlink(NETLINK_ROUTE) as route:
            route.request_all(
                [rtnetlink.veth_message("wire", 0, 1500, "wire", b"", descriptor=self.neighbour.descriptor)]
            )
        self._address("wire", HOST, HOST6)
        with self.neighbour.entered():
            self._address("wire", NEIGHBOUR, NEIGHBOUR6)
            with Netlink(NETLINK_ROUTE) as route:
                route.request_all([rtnetlink.default_route_message(attach.packed(one)) for one in (HOST, HOST6)])
        self.networks: Networks | None = None

    def open(self, instance: str = "0123456789ab", **options: object) -> Networks:
        self.networks = Networks(InstanceId(instance), NetworkOptions(**options))  # type: ignore[arg-type]
        self.networks.open()
        return self.networks

    def close(self) -> None:
        for container in list(_running):
            container.end()
        while _sockets:
            _sockets.pop().close()
        if self.networks is not None:
            self.networks.close()
        setns(self._origin, Clone.NEWNET)
        for descriptor in (self._origin, self.host.descriptor, self.neighbour.descriptor):
            os.close(descriptor)

    def create(self, name: str, **members: object) -> NetworkDefinition:
        """A network of a user's own."""
        assert self.networks is not None
        networks = self.networks
        definition = define(
            NetworkCreateRequest(**{"name": name, **members}),  # type: ignore[arg-type]
            NetworkId(new_id()),
            1,
            networks.definitions(),
            networks.subnets(),
            networks.choose_subnet,
        )
        networks.create(definition)
        return definition

    def _address(self, name: str, *addresses: str) -> None:
        with Netlink(NETLINK_ROUTE) as route:
            index = socket.if_nametoindex(name)
            with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w") as file:
                file.write("0")
            for address in addresses:
                prefix = 64 if ":" in address else 24
                route.request_all([rtnetlink.address_message(index, attach.packed(address), prefix)])
            route.request_all([rtnetlink.up_message(index)])


BRIEF = 0.5


def tcp_reaches(
    client: Namespace, target: tuple[str, int], server: socket.socket, source: str = "", patience: float = 4
) -> str | None:
    """Whether a connection from `client` arrives at the listening `server`: the address it seems to come from, or None.

    `patience`: seconds, in which the kernel asks again after one and three; BRIEF where nothing should come of it.
    """
    sock = client.socket(socket.SOCK_STREAM, source or ("::" if ":" in target[0] else ""))
    server.settimeout(SECONDS)
    try:
        sock.settimeout(patience)
        sock.connect(target)
        accepted, peer = server.accept()
    except OSError:
        return None
    finally:
        sock.close()
    accepted.close()
    return str(peer[0])


def udp_reaches(
    client: Namespace, target: tuple[str, int], server: socket.socket, source: str = "", patience: float = 4
) -> str | None:
    """The same for a datagram, which also has to be answered; it is sent once."""
    sock = client.socket(socket.SOCK_DGRAM, source or ("::" if ":" in target[0] else ""))
    server.settimeout(patience)
    sock.settimeout(patience)
    try:
        sock.connect(target)
        sock.send(b"question")
        data, peer = server.recvfrom(100)
        assert data == b"question"
        server.sendto(b"answer", peer)
        assert sock.recv(100) == b"answer"
    except OSError:
        return None
    finally:
        sock.close()
    return str(peer[0])


def listening(namespace: Namespace, port: int, address: str = "") -> socket.socket:
    sock = namespace.socket(socket.SOCK_STREAM, address, port)
    sock.listen(16)
    return sock
