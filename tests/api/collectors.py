"""Collectors of logs for tests: sockets that keep what they are sent."""

import os
import socket
import threading


class Collector:
    """A socket that keeps what it is sent. `stop` closes everything; `start` listens again at the same place."""

    def __init__(self, family: int, kind: int, address: object) -> None:
        self._family, self._kind, self.address = family, kind, address
        self.data = b""
        self.packets: list[bytes] = []
        self._sock: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self.start()

    def start(self) -> None:
        self._sock = socket.socket(self._family, self._kind)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if isinstance(self.address, str) and os.path.exists(self.address):
            os.unlink(self.address)
        self._sock.bind(self.address)  # type: ignore[arg-type]
        self.address = self._sock.getsockname()
        if self._kind == socket.SOCK_STREAM:
            self._sock.listen()
        threading.Thread(target=self._serve, args=(self._sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            while True:
                if self._kind == socket.SOCK_STREAM:
                    connection, _ = sock.accept()
                    self._connections.append(connection)
                    threading.Thread(target=self._read, args=(connection,), daemon=True).start()
                else:
                    packet = sock.recv(1 << 18)
                    if not packet:
                        continue
                    self.packets.append(packet)
                    self.data += packet
        except OSError:
            return  # stopped

    def _read(self, connection: socket.socket) -> None:
        try:
            while piece := connection.recv(1 << 16):
                self.data += piece
        except OSError:
            return

    @property
    def port(self) -> int:
        assert isinstance(self.address, tuple)
        return int(self.address[1])

    def stop(self) -> None:
        for sock in [self._sock, *self._connections]:
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
        self._connections.clear()
