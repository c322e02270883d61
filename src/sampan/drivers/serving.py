"""Serves a driver at a socket: HTTP/1.1, a thread for each connection.

Source: Docker's "Plugin API". The socket is the daemon's own, and so is who connects; sizes and waits are bounded all the same,
since a daemon may die in the midst of a word.
"""

import re
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer, ThreadingMixIn, UnixStreamServer

from sampan.drivers.calls import Book

_MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
_BODY_LIMIT = 64 << 20
"""Bytes of a request. The largest are bodies of API requests that an authorization driver is shown."""
_LENGTH = re.compile(r"[0-9]{1,12}")
_WAIT_SECONDS = 60.0
"""For the next bytes of a request, and for the daemon to take an answer's."""


class Server(ThreadingMixIn, UnixStreamServer):
    """`serve_forever` until `shutdown`. The socket listens already and is closed by `server_close`."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, book: Book) -> None:
        BaseServer.__init__(self, listening.getsockname(), _Connection)
        self.socket = listening
        self.book = book


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _WAIT_SECONDS
    server: Server

    def do_POST(self) -> None:
        """Any method of the protocol."""
        length = self.headers.get("Content-Length", "0")
        if _LENGTH.fullmatch(length) is None or int(length) > _BODY_LIMIT or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(400, b'{"Err": "a request has a Content-Length of 64 MiB at most"}')
            return
        status, body = self.server.book.answer(self.path.removeprefix("/"), self.rfile.read(int(length)))
        if isinstance(body, bytes):
            self._send(status, body)
        else:
            self._stream(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Nothing: the daemon tells what it asked for and what came of it."""

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-json-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
