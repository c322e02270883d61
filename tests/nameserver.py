"""A name server for tests, on an address of the host's loopback; and a client that says just what it is told to."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sampan.kernel.namespaces import Clone, setns
from sampan.network import dns

Behave = Callable[[bytes, dns.Question], bytes]
"""The response to a query; empty for silence."""


def query(name: str, kind: int = dns.A, number: int = 0x1234, size: int = 0) -> bytes:
    """A query as a stub resolver sends it; with `size`, that is offered as options (EDNS)."""
    head = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(bool(size)))
    options = b"\0" + struct.pack(">HHIH", 41, size, 0, 0) if size else b""
    return head + dns.encoded_name(name.encode()) + struct.pack(">HH", kind, 1) + options


def code(response: bytes) -> int:
    return response[3] & 0x0F


def addresses(response: bytes) -> list[str]:
    """The A records of a response whose names are pointers to the question's."""
    question = dns.parse_query(response[:2] + b"\1\0" + b"\0\1\0\0\0\0\0\0" + response[12 : _end(response)])
    offset, found = question.end, []
    for _ in range(struct.unpack_from(">H", response, 6)[0]):
        kind, _, _, length = struct.unpack_from(">HHIH", response, offset + 2)
        if kind == dns.A:
            found.append(socket.inet_ntoa(response[offset + 12 : offset + 12 + length]))
        offset += 12 + length
    return found


def _end(response: bytes) -> int:
    offset = 12
    while response[offset]:
        offset += 1 + response[offset]
    return offset + 5


def says(*found: str, ttl: int = 60) -> Behave:
    """A server that knows these addresses for every name."""
    records = [(dns.A, socket.inet_aton(address)) for address in found]
    return lambda packet, question: dns.answer(packet, question, records, ttl)


def fails(packet: bytes, question: dns.Question) -> bytes:
    """A server that is broken."""
    return dns.answer(packet, question, (), 0, dns.SERVER_FAILURE)


def silent(_packet: bytes, _question: dns.Question) -> bytes:
    """A server that is not there, so to speak."""
    return b""


class NameServer:
    """Listens at port 53 of `address`, by UDP and TCP; `asked` are the names of all queries that came."""

    def __init__(self, address: str, behave: Behave) -> None:
        self.address = address
        self.behave = behave
        self.asked: list[bytes] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind((address, 53))
        self._tcp.bind((address, 53))
        self._tcp.listen(16)
        self._threads = [threading.Thread(target=one) for one in (self._datagrams, self._streams)]
        for thread in self._threads:
            thread.start()

    def _respond(self, packet: bytes) -> bytes:
        question = dns.parse_query(packet)
        self.asked.append(question.name)
        return self.behave(packet, question)

    def _datagrams(self) -> None:
        while True:
            packet, client = self._udp.recvfrom(4096)
            if not packet:
                return
            response = self._respond(packet)
            if response:
                self._udp.sendto(dns.fitted(response, dns.parse_query(packet)), client)

    def _streams(self) -> None:
        while True:
            sock, _ = self._tcp.accept()
            with sock:
                head = sock.recv(2)
                if not head:
                    return
                response = self._respond(sock.recv(int.from_bytes(head, "big")))
                sock.sendall(len(response).to_bytes(2, "big") + response)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.address, 53))
        socket.create_connection((self.address, 53)).close()
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()


@contextmanager
def serving(address: str, behave: Behave) -> Iterator[NameServer]:
    made = NameServer(address, behave)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def in_network_of(pid: int) -> Iterator[None]:
    """This thread stands in the network namespace of a process: sockets that it makes are of there."""
    with open(f"/proc/{pid}/ns/net") as theirs, open("/proc/thread-self/ns/net") as ours:
        setns(theirs.fileno(), Clone.NEWNET)
        try:
            yield
        finally:
            setns(ours.fileno(), Clone.NEWNET)


def socket_in(pid: int, kind: int) -> socket.socket:
    """A socket in the network namespace of a process."""
    with in_network_of(pid):
        made = socket.socket(socket.AF_INET, kind)
    made.settimeout(20)
    return made


def ask(pid: int, packet: bytes, *, stream: bool = False) -> bytes:
    """What the resolver inside the namespace of process `pid` answers."""
    with socket_in(pid, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.11", 53))
        if not stream:
            sock.send(packet)
            return sock.recv(65535)
        sock.sendall(len(packet).to_bytes(2, "big") + packet)
        return read_stream(sock)


def read_stream(sock: socket.socket) -> bytes:
    """One response by TCP; empty at the end."""
    received = b""
    while len(received) < 2 or len(received) < int.from_bytes(received[:2], "big") + 2:
        piece = sock.recv(65535)
        if not piece:
            return b""
        received += piece
    return received[2:]
