"""A driver at a socket, asked by whoever has no event loop: suites, and layers that are copied in worker threads."""

import http.client
import socket

ANSWER_LIMIT = 64 << 20
"""Bytes of an answer; the largest are logs that a suite reads back."""
_MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"


def asked(address: str, method: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    """Post `body` to the method at the socket `address`: status and body of the answer.

    No wait for the driver is longer than `seconds`. Raises OSError; http.client.HTTPException for what is no answer, or is
    longer than ANSWER_LIMIT.
    """
    connection = _Connection(address, seconds)
    try:
        connection.request("POST", f"/{method}", body, {"Content-Type": _MEDIA_TYPE})
        response = connection.getresponse()
        # Never without a number: http.client would believe the answer's own Content-Length and make room for it at once.
        found = response.read(ANSWER_LIMIT + 1)
        if len(found) > ANSWER_LIMIT:
            raise http.client.HTTPException(f"the answer is larger than {ANSWER_LIMIT} bytes")
        return response.status, found
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("plugin.moby.localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
