"""A program that tells each caller the address it sees it under, by TCP (80) and UDP (81); and one that calls it. Run by path."""

import socket
import sys
import threading
from contextlib import suppress


def _bound(family: socket.AddressFamily, kind: socket.SocketKind, port: int) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", port))
    return sock


def _tcp(sock: socket.socket) -> None:
    sock.listen(16)
    while True:
        client, address = sock.accept()
        with client:
            client.sendall(str(address[0]).encode())


def _udp(sock: socket.socket) -> None:
    while True:
        _, address = sock.recvfrom(100)
        sock.sendto(str(address[0]).encode(), address)


def serve() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # a container without IPv6
            threading.Thread(target=_tcp, args=(_bound(family, socket.SOCK_STREAM, 80),)).start()
            threading.Thread(target=_udp, args=(_bound(family, socket.SOCK_DGRAM, 81),)).start()
    print("serving", flush=True)


def call(kind: str, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((address, port))
        if kind == "udp":
            sock.send(b"?")
        print(sock.recv(100).decode())


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        call(sys.argv[2], sys.argv[3], int(sys.argv[4]))
