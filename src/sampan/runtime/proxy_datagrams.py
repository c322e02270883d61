"""A proxied UDP port: each client has a socket of its own towards the container, for as long as one of them has something to say.

Loaded by the launcher.
"""

from __future__ import annotations

import socket
import struct
import time

from sampan.runtime.callers import speak_for
from sampan.runtime.poller import Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    Address = tuple[str, int, int, int]

_LARGEST = 65535
_BURST = 32
_MOST = 256
"""clients of one port"""
_IDLE_SECONDS = 90.0
"""Docker's"""
_IPV6_PKTINFO = 50
_IP_PKTINFO = 8
_IN_PKTINFO = struct.Struct("=i4s4s")
"""struct in_pktinfo (ip(7)): interface, local address, address of the header."""
_PKTINFO_ROOM = socket.CMSG_SPACE(20)


class _Caller:
    """One client: the socket that speaks for it, whence to answer, and when it was last heard of."""

    __slots__ = ("heard", "info", "sock")

    def __init__(self, sock: socket.socket, info: bytes) -> None:
        self.sock = sock
        self.info = info
        self.heard = time.monotonic()


class DatagramPort:
    """`sock` is bound to the host's port, `target` the container's address and port."""

    def __init__(self, poller: Poller, sock: socket.socket, target: tuple[str, int], as_caller: bool = False) -> None:
        self._poller = poller
        self._socket = sock
        self._target = target
        self._as_caller = as_caller
        self._is_ipv6 = sock.family == socket.AF_INET6
        self._callers: dict[Address, _Caller] = {}
        sock.setblocking(False)
        # The answer has to come from the address that was asked.
        if self._is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        poller.add(sock.fileno(), lambda _events: self._asked())

    def close(self) -> None:
        """Serve nobody any more; again is allowed."""
        for address in list(self._callers):
            self._forget(address)
        self._poller.remove(self._socket.fileno())
        self._socket.close()

    def sweep(self, now: float) -> None:
        """Forget clients that have not been heard of for long."""
        for address, caller in list(self._callers.items()):
            if caller.heard + _IDLE_SECONDS < now:
                self._forget(address)

    def _forget(self, address: Address) -> None:
        caller = self._callers.pop(address)
        self._poller.remove(caller.sock.fileno())
        caller.sock.close()

    def _asked(self) -> None:
        for _ in range(_BURST):
            try:
                data, ancillary, _, address = self._socket.recvmsg(_LARGEST, _PKTINFO_ROOM)
            except BlockingIOError:
                return
            except OSError:
                continue  # what an earlier answer met with
            info = self._whence_to_answer(ancillary)
            try:
                caller = self._caller(address, info)
                caller.sock.send(data)
            except OSError:
                continue  # the container does not listen; UDP may be lost

    @property
    def _how(self) -> tuple[int, int]:
        return (socket.IPPROTO_IPV6, _IPV6_PKTINFO) if self._is_ipv6 else (socket.IPPROTO_IP, _IP_PKTINFO)

    def _whence_to_answer(self, ancillary: list[tuple[int, int, bytes]]) -> bytes:
        """What to send along with answers to a datagram; b"" where the kernel is to choose."""
        info = next((value for level, kind, value in ancillary if (level, kind) == self._how), b"")
        if self._is_ipv6 or len(info) < _IN_PKTINFO.size:
            return info
        # Not the interface: its number is another network namespace's where the socket is one from outside.
        _, local, _ = _IN_PKTINFO.unpack_from(info)
        return _IN_PKTINFO.pack(0, local, bytes(4))

    def _caller(self, address: Address, info: bytes) -> _Caller:
        caller = self._callers.pop(address, None)
        if caller is None:
            if len(self._callers) >= _MOST:
                self._forget(next(iter(self._callers)))
            family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            caller = _Caller(sock, info)
            try:
                if self._as_caller:
                    speak_for(sock, str(address[0]), self._target[0])
                sock.connect(self._target)
                self._poller.add(sock.fileno(), lambda _events: self._answered(address))
            except OSError:
                sock.close()
                raise
        caller.heard, caller.info = time.monotonic(), info
        # Last in order: the one that has been silent for longest goes first.
        self._callers[address] = caller
        return caller

    def _answered(self, address: Address) -> None:
        caller = self._callers[address]
        for _ in range(_BURST):
            try:
                data = caller.sock.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                return  # refused: the container does not listen
            caller.heard = time.monotonic()
            ancillary = [(*self._how, caller.info)] if caller.info else []
            try:
                self._socket.sendmsg([data], ancillary, 0, address)
            except OSError:
                continue
