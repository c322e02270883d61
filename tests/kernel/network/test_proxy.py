"""The proxy's own part, on real sockets: streams both ways, ends that do not wait for each other, datagrams, bounds."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sampan.runtime.borrowing import borrow, own
from sampan.runtime.poller import Poller
from sampan.runtime.proxy import Proxies
from tests.requires import requires

pytestmark = requires("root", "netns")

SECONDS = 10.0


def bound(kind: int, address: str = "::1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.settimeout(SECONDS)
    sock.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    return sock


@contextmanager
def proxied(kind: int, target: socket.socket) -> Iterator[tuple[str, int]]:
    """A proxy at work before `target`: where it is called."""
    poller = Poller()
    proxies = Proxies(poller)
    front = bound(kind)
    where = front.getsockname()[:2]
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    address, port, *_ = target.getsockname()
    proxies.serve("c", [(protocol, address, port)], [os.pidfd_open(os.getpid()), front.detach()])
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            poller.turn(0.05)
        proxies.forget("c")
        proxies.forget("c")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield where
    finally:
        ended.set()
        worker.join()
        assert len(proxies) == 0


def _say_all(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_much_in_both_directions_and_ends_of_each(address: str) -> None:
    with bound(socket.SOCK_STREAM, address) as target, proxied(socket.SOCK_STREAM, target) as where:
        with socket.create_connection(where, timeout=SECONDS) as client:
            inside, _ = target.accept()
            sent = os.urandom(5_000_000)
            sender = threading.Thread(target=_say_all, args=(client, sent))
            sender.start()
            with inside:
                inside.settimeout(SECONDS)
                assert b"".join(iter(lambda: inside.recv(1 << 20), b"")) == sent
                # The caller has said all; the answer still comes.
                inside.sendall(sent[:1_000_000])
            assert b"".join(iter(lambda: client.recv(1 << 20), b"")) == sent[:1_000_000]
            sender.join()


def test_nobody_listens() -> None:
    with bound(socket.SOCK_STREAM, "127.0.0.1") as gone, proxied(socket.SOCK_STREAM, gone) as where:
        gone.close()
        with socket.create_connection(where, timeout=SECONDS) as client:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                pass


def test_a_caller_that_reads_nothing_stops_nobody_else() -> None:
    with bound(socket.SOCK_STREAM, "127.0.0.1") as target, proxied(socket.SOCK_STREAM, target) as where:
        lazy, quick = (socket.create_connection(where, timeout=SECONDS) for _ in range(2))
        first, _ = target.accept()
        second, _ = target.accept()
        with lazy, quick, first, second:
            quick.sendall(b"who")
            first.setblocking(False)
            second.setblocking(False)
            for inside in (first, second):
                try:
                    while True:
                        inside.send(bytes(1 << 20))
                except BlockingIOError:
                    pass
            assert len(quick.recv(1 << 20)) > 0


def test_datagrams_and_their_answers() -> None:
    with bound(socket.SOCK_DGRAM, "127.0.0.1") as target, proxied(socket.SOCK_DGRAM, target) as where:
        clients = [bound(socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.connect(where)
            client.send(b"question %d" % number)
        for _ in clients:
            data, peer = target.recvfrom(100)
            target.sendto(data.replace(b"question", b"answer"), peer)
        assert [client.recv(100) for client in clients] == [b"answer %d" % number for number in range(3)]
        for client in clients:
            client.close()


def test_more_clients_than_are_kept() -> None:
    with bound(socket.SOCK_DGRAM, "127.0.0.1") as target, proxied(socket.SOCK_DGRAM, target) as where:
        for number in range(300):
            with bound(socket.SOCK_DGRAM) as client:
                client.connect(where)
                client.send(b"%d" % number)
                data, peer = target.recvfrom(100)
                target.sendto(data, peer)
                assert client.recv(100) == b"%d" % number


def test_sockets_are_borrowed_from_whoever_holds_them() -> None:
    held, other = bound(socket.SOCK_STREAM), bound(socket.SOCK_DGRAM)
    wanted = ("tcp", "::1", held.getsockname()[1])
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(writing)
            os.read(reading, 1)
        finally:
            os._exit(0)
    os.close(reading)
    held.close()
    pidfd = os.pidfd_open(pid)
    found = borrow(pidfd, [wanted, ("tcp", "::1", 1)])
    assert list(found) == [wanted]
    assert found[wanted].getsockname()[:2] == wanted[1:]
    assert not found[wanted].get_inheritable()
    copies = own([other, held], [("udp", "::1", other.getsockname()[1]), wanted])
    assert [key[0] for key in copies] == ["udp"]
    for sock in (*found.values(), *copies.values(), other):
        sock.close()
    os.close(writing)
    os.waitpid(pid, 0)
    with pytest.raises(ProcessLookupError):
        borrow(pidfd, [wanted])
    os.close(pidfd)
