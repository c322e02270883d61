"""Published ports as elements of sets: how the kernel has them, and back."""

import socket

from sampan.network.policy import ANY, ANY6, Forward

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


def has_rule(forward: Forward) -> bool:
    """Whether it stands in a set at all."""
    return forward.is_translated or forward.host_port == 0


def element_of(forward: Forward) -> tuple[str, bytes, bytes]:
    """The set that a port stands in, its key there and what it maps to."""
    port, target = port_bytes(forward.port), packed(forward.address)
    if not forward.host_port:
        return "opened", target + protocol_bytes(forward.protocol) + port, b""
    return "ports_anywhere" if forward.is_anywhere else "ports", port_key(forward), target + port


def port_key(forward: Forward) -> bytes:
    """A port of the host's as a set has it: protocol, the address where it is published on one, and number."""
    address = b"" if forward.is_anywhere else packed(forward.host_ip)
    return protocol_bytes(forward.protocol) + address + port_bytes(forward.host_port)


def forward_of(version: int, name: str, key: bytes, data: bytes) -> Forward:
    """An element of one of these sets, read back."""
    length = 4 if version == 4 else 16
    anywhere = ANY if version == 4 else ANY6

    def protocol(offset: int) -> str:
        return next(word for word, number in PROTOCOLS.items() if number == key[offset])

    def port(where: bytes, offset: int) -> int:
        return int.from_bytes(where[offset : offset + 2], "big")

    if name == "opened":
        return Forward(protocol(length), anywhere, 0, text_of(key[:length]), port(key, length + 4))
    host_ip = text_of(key[4 : 4 + length]) if name == "ports" else anywhere
    host_port = port(key, 4 + length if name == "ports" else 4)
    return Forward(protocol(0), host_ip, host_port, text_of(data[:length]), port(data, length))


def packed(address: str) -> bytes:
    """An address of either family as bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def text_of(address: bytes) -> str:
    """And back."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def protocol_bytes(name: str) -> bytes:
    """A protocol as a part of a key, filled up to 4 bytes."""
    return bytes((PROTOCOLS[name], 0, 0, 0))


def port_bytes(number: int) -> bytes:
    """A port as a part of a key or of data, filled up to 4 bytes."""
    return number.to_bytes(2, "big") + bytes(2)
