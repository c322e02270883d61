"""Registries to test against: Debian's docker-registry on loopback, and one that is told how to misbehave.

`127.0.0.1:PORT` and `localhost:PORT` are insecure by default, as for Docker. `SECURE_NAME:PORT` is the same place under a name
that is not: it is written so that only the resolver knows it for loopback.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

PROGRAM = "docker-registry"
READY_SECONDS = 20
SECURE_NAME = "127.1"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Certificates:
    """An authority, and certificates that it signed: `server.*` for loopback's names, `client.*` for a client."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    def pair(self, name: str) -> tuple[Path, Path]:
        return self.directory / f"{name}.cert", self.directory / f"{name}.key"


def make_certificates(directory: Path) -> Certificates:
    """Make them in `directory`."""
    made = Certificates(directory)
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split()
    authority = ["-x509", "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.crt"]
    uses = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl(directory, [*new, *authority, *uses])
    names = f"subjectAltName=DNS:localhost,DNS:{SECURE_NAME},IP:127.0.0.1"
    for name, extension in (("server", names), ("client", "extendedKeyUsage=clientAuth")):
        request = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-addext", extension]
        _openssl(directory, [*new, *request])
        signing = (
            f"openssl x509 -req -days 2 -in {name}.csr -CA ca.crt -CAkey ca.key -copy_extensions copy -out {name}.cert"
        )
        _openssl(directory, signing.split())
    return made


def _openssl(directory: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


@dataclass(frozen=True)
class Registry:
    """A running docker-registry. `storage` and `log` are its files."""

    port: int
    storage: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """Insecure by default."""
        return f"127.0.0.1:{self.port}"

    @property
    def secure_address(self) -> str:
        """The same, under a name that has to be proved."""
        return f"{SECURE_NAME}:{self.port}"

    def blob(self, digest: str) -> Path:
        """The file of a blob."""
        algorithm, _, encoded = digest.partition(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def requests(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def running_registry(
    directory: Path,
    tls: Certificates | None = None,
    client_ca: Path | None = None,
    users: dict[str, str] | None = None,
    mirror_of: str = "",
    within: Sequence[str] = (),
    shared: Path | None = None,
) -> Iterator[Registry]:
    """docker-registry with its files in `directory`. `users` have passwords; `mirror_of` makes it a cache of that URL.

    `within`: a command that starts it somewhere else, such as nsenter; `shared`: another registry's storage.
    """
    directory.mkdir(parents=True, exist_ok=True)
    storage, log, config = shared or directory / "storage", directory / "log", directory / "config.yml"
    http: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "tests"}
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": http,
    }
    if tls is not None:
        certificate, key = tls.pair("server")
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
        if client_ca is not None:
            http["tls"]["clientcas"] = [str(client_ca)]
    if users:
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(_htpasswd(directory, users))}}
    if mirror_of:
        settings["proxy"] = {"remoteurl": mirror_of}
    config.write_text(yaml.safe_dump(settings))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*within, PROGRAM, "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
            start_new_session=True,
        )
    try:
        yield Registry(_port(process, log), storage, log, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port it chose, which its log says."""
    until = time.monotonic() + READY_SECONDS
    while True:
        text = log.read_text(errors="replace")
        if (found := _LISTENING.search(text)) is not None:
            return int(found[1])
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"{PROGRAM} is not ready:\n{text[-3000:]}")
        time.sleep(0.01)


def _htpasswd(directory: Path, users: dict[str, str]) -> Path:
    file = directory / "htpasswd"
    lines = [
        subprocess.run(["htpasswd", "-Bbn", "-C", "4", name, password], check=True, capture_output=True).stdout
        for name, password in users.items()
    ]
    file.write_bytes(b"".join(lines))
    return file


@dataclass(frozen=True)
class Received:
    """One request that a scripted registry was sent."""

    method: str
    path: str
    headers: dict[str, str]
    """by lower-case name"""
    body: bytes


@dataclass
class Scripted:
    """A registry of which a test says what it does: `behave` gets the handler of each request, and writes to it."""

    behave: Callable[["Handler"], None]
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """set at the end: whoever stalls waits for it"""
    address: str = ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def secure_address(self) -> str:
        return f"{SECURE_NAME}:{self.port}"

    def sent(self, header: str) -> list[str]:
        """The values of a header in all requests that had it."""
        return [one.headers[header.lower()] for one in self.received if header.lower() in one.headers]


class Handler(BaseHTTPRequestHandler):
    """One request, with short ways to answer."""

    protocol_version = "HTTP/1.1"
    scripted: Scripted
    request_body = b""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _any(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.request_body = self.rfile.read(size)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.scripted.received.append(Received(self.command, self.path, headers, self.request_body))
        try:
            self.scripted.behave(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; header names have `_` for `-`."""
        self.head(status, **{"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int, **headers: str) -> None:
        """Only the head."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def error(self, status: int, code: str, message: str = "", **headers: str) -> None:
        """An error as registries word it."""
        body = f'{{"errors":[{{"code":"{code}","message":"{message}","detail":{{}}}}]}}'.encode()
        self.answer(status, body, Content_Type="application/json", **headers)

    def stall(self) -> None:
        """Say nothing until the test is over."""
        self.scripted.released.wait(60)
        self.close_connection = True

    def cut(self) -> None:
        """Break the connection off."""
        self.wfile.flush()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of these tests."""


@contextmanager
def scripted_registry(behave: Callable[[Handler], None], tls: Certificates | None = None) -> Iterator[Scripted]:
    """A registry on loopback that does what `behave` says."""
    scripted = Scripted(behave)
    handler = type("Handler", (Handler,), {"scripted": scripted, "timeout": 30})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls.pair("server"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scripted.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield scripted
    finally:
        scripted.released.set()
        server.shutdown()
        thread.join(10)
        server.socket.close()
