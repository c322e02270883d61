"""urllib3's connections with one thing added: the head of an answer has a deadline. A socket's time-out counts from byte to
byte, and a peer that sends one now and then would never meet it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


@contextmanager
def _within(seconds: float, sock: socket.socket | None) -> Iterator[None]:
    """Cut `sock` off when the block takes longer, whoever reads from it then finds its end, and raise TimeoutError."""
    if sock is None:
        yield
        return
    # The plain method: ssl's own would take the TLS state away from under the reader.
    late = threading.Event()
    timer = threading.Timer(seconds, _cut, (sock, late))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        # http.client takes a head that breaks off for a whole one.
        raise TimeoutError("timed out")


def _cut(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed meanwhile


class _Connection(HTTPConnection):
    head_seconds = 0.0

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        with _within(self.head_seconds, self.sock):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    head_seconds = 0.0

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        with _within(self.head_seconds, self.sock):
            return super().getresponse()


def watch(manager: PoolManager, seconds: float) -> None:
    """Have every connection that `manager` makes from now on give a head `seconds`."""
    plain = type("Connection", (_Connection,), {"head_seconds": seconds})
    tls = type("TlsConnection", (_TlsConnection,), {"head_seconds": seconds})
    manager.pool_classes_by_scheme = {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
