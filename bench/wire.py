"""HTTP over a unix socket in as few system calls as can be, so that the client's own time does not count.

One request at a time on a kept connection; the answer is read by Content-Length or chunks. No other feature.
"""

import json
import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence


class Wire:
    """One kept-alive connection to an engine. Raises ConnectionError when the engine closes it, KeyError for odd answers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sock = self._connect()

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(120)
        sock.connect(self._path)
        return sock

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._sock.sendall(request(method, path, body))
        head, rest = self._head()
        status = int(head[9:12])
        if b"chunked" in head:
            return status, self._chunks(rest)
        length = _content_length(head)
        while len(rest) < length:
            rest += self._more()
        return status, rest

    def good(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        """The body of an answer that must be a success."""
        status, content = self.call(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {content.decode(errors='replace')}")
        return content

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, rest = data.partition(b"\r\n\r\n")
        return head.lower(), rest

    def _more(self) -> bytes:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("the engine closed the connection")
        return data

    def _chunks(self, data: bytes) -> bytes:
        content = b""
        while True:
            while b"\r\n" not in data:
                data += self._more()
            size_text, _, data = data.partition(b"\r\n")
            size = int(size_text, 16)
            while len(data) < size + 2:
                data += self._more()
            if size == 0:
                return content
            content, data = content + data[:size], data[size + 2 :]


def request(method: str, path: str, body: Mapping[str, object] | None, upgrade: bool = False) -> bytes:
    """The bytes of a request; with `upgrade`, one that asks for the connection itself."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(content)}\r\n"
    if content:
        head += "Content-Type: application/json\r\n"
    if upgrade:
        head += "Connection: Upgrade\r\nUpgrade: tcp\r\n"
    return head.encode() + b"\r\n" + content


def hijacked(path: str, route: str, body: Mapping[str, object]) -> bytes:
    """All bytes that an upgraded connection gives until the engine ends it, the head left out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(120)
        sock.connect(path)
        sock.sendall(request("POST", route, body, upgrade=True))
        data = b""
        while piece := sock.recv(65536):
            data += piece
    return data.partition(b"\r\n\r\n")[2]


class Reader:
    """Streams that are read and thrown away by a thread of their own; `frames` counts the lines that have come."""

    def __init__(self, path: str, routes: Sequence[str]) -> None:
        self.frames = 0
        self._silent = len(routes)
        self._ended = threading.Event()
        self._poll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        for route in routes:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(path)
            sock.sendall(request("GET", route, None))
            self._socks[sock.fileno()] = sock
            self._poll.register(sock.fileno(), select.EPOLLIN)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        heard = set()
        while not self._ended.is_set():
            for descriptor, _ in self._poll.poll(0.2):
                lines = self._socks[descriptor].recv(1 << 18).count(b"}\n")
                self.frames += lines
                if lines:
                    heard.add(descriptor)
                    self._silent = len(self._socks) - len(heard)

    def wait_for_all(self) -> None:
        """Until each stream has brought a line. RuntimeError when that takes more than half a minute."""
        deadline = time.monotonic() + 30
        while self._silent:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._silent} streams are silent")
            time.sleep(0.05)

    def close(self) -> None:
        """End the thread and the connections."""
        self._ended.set()
        self._thread.join()
        self._poll.close()
        for sock in self._socks.values():
            sock.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
