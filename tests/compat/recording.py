"""A daemon that only writes down what it is asked: to compare what two clients send for the same command line."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

IDENTIFIER = "c" * 64


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class RecordingDaemon:
    """Answers `_ping`, and 201 with an id to every POST; `requests` holds (method, path, body) in order of arrival."""

    def __init__(self, path: Path, version: str = "1.50") -> None:
        self.requests: list[tuple[str, str, object]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def address_string(self) -> str:
                return "unix"

            def do_HEAD(self) -> None:
                self._answer(200, b"", {"Api-Version": version, "Ostype": "linux"})

            do_GET = do_HEAD

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                requests.append((self.command, self.path, json.loads(body) if body else None))
                self._answer(201, json.dumps({"Id": IDENTIFIER, "Warnings": []}).encode(), {})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.host = f"unix://{path}"
        self._server = _Server(str(path), Handler)
        assert self._server.socket.family == socket.AF_UNIX
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def taken(self) -> list[tuple[str, str, object]]:
        """What was asked since the last call."""
        found = list(self.requests)
        self.requests.clear()
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
