"""Plugins for tests, written against Docker's documents and not against Sampan: a well-behaved one, and ones that answer bytes."""

import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Handler = Callable[[dict[str, Any]], Any]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An engine that has hung up is part of many tests; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _TlsServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread. One that does not come about is the test's affair."""
        try:
            with self.context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except OSError:
            pass


class ServedPlugin:
    """What a test sees of a plugin that is served: the calls that came, in order, and what it answers, which may be changed."""

    def __init__(self, answers: dict[str, Handler | dict[str, Any]]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []

    def names(self) -> list[str]:
        return [method for method, _ in self.calls]

    def of(self, method: str) -> list[dict[str, Any]]:
        return [body for called, body in self.calls if called == method]


@contextmanager
def served(
    path: Path, implements: str | list[str], answers: dict[str, Handler | dict[str, Any]]
) -> Iterator[ServedPlugin]:
    """A plugin at the socket `path`. A handler gets the request's document; what it returns is the answer, bytes as they are.

    A handler that returns a tuple gives the status first, one that returns an iterator the pieces of a body as they come.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        with _serving(partial(_Server, str(path)), implements, answers) as (plugin, _):
            yield plugin
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def served_by_tls(
    context: ssl.SSLContext, implements: str | list[str], answers: dict[str, Handler | dict[str, Any]]
) -> Iterator[tuple[ServedPlugin, int]]:
    """The same at a port of the loopback, where TLS is spoken."""

    def made(handler: type[BaseHTTPRequestHandler]) -> socketserver.BaseServer:
        server = _TlsServer(("127.0.0.1", 0), handler)
        server.context = context
        return server

    with _serving(made, implements, answers) as (plugin, server):
        yield plugin, server.server_address[1]


@contextmanager
def _serving(
    made: Callable[[type[BaseHTTPRequestHandler]], socketserver.BaseServer],
    implements: str | list[str],
    answers: dict[str, Handler | dict[str, Any]],
) -> Iterator[tuple[ServedPlugin, Any]]:
    kinds = [implements] if isinstance(implements, str) else implements
    plugin = ServedPlugin({"Plugin.Activate": {"Implements": kinds}, **answers})

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            method = self.path.lstrip("/")
            body = json.loads(raw) if raw.strip() else {}
            plugin.headers.append(dict(self.headers))
            plugin.calls.append((method, body))
            answer: Any = plugin.answers.get(method)
            status: int = 200
            if answer is None:
                status, answer = 404, b"404 page not found\n"
            elif callable(answer):
                answer = answer(body)
            if isinstance(answer, tuple):
                status, answer = answer
            self.send_response(status)
            if isinstance(answer, Iterator):
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in answer:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
                return
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    with made(Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield plugin, server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """A socket at which `behave` is given each connection once the request's head has come, in a thread; then it is closed.

    At the end all of them are cut off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                got = b""
                while b"\r\n\r\n" not in got and (data := connection.recv(65536)):
                    got += data
                behave(connection)
            except OSError:
                pass  # the engine has hung up, as it should

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in connections:
            with suppress(OSError):  # those that have ended are closed
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        path.unlink(missing_ok=True)


class Driver:
    """A volume driver: keeps volumes as directories, and counts who has them mounted, as the protocol's documentation asks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.options: dict[str, dict[str, str]] = {}
        self.uses: dict[str, list[str]] = {}

    def answers(self) -> dict[str, Any]:
        return {
            "VolumeDriver.Create": self.create,
            "VolumeDriver.Remove": self.remove,
            "VolumeDriver.Get": self.get,
            "VolumeDriver.List": lambda _: {"Volumes": [self.told(name) for name in self.options]},
            "VolumeDriver.Path": lambda body: {"Mountpoint": str(self.directory / body["Name"])},
            "VolumeDriver.Mount": self.mount,
            "VolumeDriver.Unmount": self.unmount,
            "VolumeDriver.Capabilities": {"Capabilities": {"Scope": "global"}},
        }

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if (body["Opts"] or {}).get("fail"):
            return {"Err": "no room left"}
        (self.directory / body["Name"]).mkdir(parents=True)
        self.options[body["Name"]] = body["Opts"] or {}
        return {}

    def remove(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.uses.get(body["Name"]):
            return {"Err": "volume is mounted"}
        del self.options[body["Name"]]
        subprocess.run(["rm", "-r", str(self.directory / body["Name"])], check=True)
        return {}

    def told(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Mountpoint": str(self.directory / name), "CreatedAt": "2020-02-03T04:05:06Z"}

    def get(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["Name"] not in self.options:
            return {"Err": "no such volume"}
        return {"Volume": {**self.told(body["Name"]), "Status": {"replicas": 3, "of": ["a", "b"]}}}

    def mount(self, body: dict[str, Any]) -> dict[str, Any]:
        self.uses.setdefault(body["Name"], []).append(body["ID"])
        return {"Mountpoint": str(self.directory / body["Name"])}

    def unmount(self, body: dict[str, Any]) -> dict[str, Any]:
        self.uses[body["Name"]].remove(body["ID"])
        return {}

    def idle(self) -> bool:
        return not any(self.uses.values())
