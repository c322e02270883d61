"""An image there and back by docker's own commands, through a registry with TLS of a private authority and users; a proxy."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Proxies, Settings
from tests.api.test_registry_client import LAYER, described, push
from tests.daemons import running_sampan
from tests.registries import Certificates, make_certificates, running_registry
from tests.requires import requires

pytestmark = requires("docker-registry", "htpasswd")

NOBODY = Credentials()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def trust(known: Path, address: str, certificates: Certificates) -> None:
    (known / address).mkdir(parents=True)
    (known / address / "ca.crt").write_bytes(certificates.ca.read_bytes())


@requires("root", "overlay", "docker-client")
def test_docker_logs_in_pushes_and_pulls(tmp_path: Path, certificates: Certificates) -> None:
    """The authority lies in `certs.d` beside daemon.json, and is read when it is needed."""
    home = {"HOME": str(tmp_path)}
    (tmp_path / "daemon.json").write_text("{}")
    with (
        running_registry(tmp_path / "r", tls=certificates, users={"me": "secret"}) as registry,
        running_sampan("--config-file", str(tmp_path / "daemon.json")) as engine,
    ):
        engine.load_busybox()
        name = f"{registry.secure_address}/team/busybox"
        login = ("login", "-u", "me", "--password-stdin", registry.secure_address)
        untrusted = engine.docker(*login, stdin=b"secret", env=home)
        assert b"x509: certificate signed by unknown authority" in untrusted.err
        trust(tmp_path / "certs.d", registry.secure_address, certificates)
        assert engine.docker(*login, stdin=b"secret", env=home).code == 0
        assert engine.docker("tag", "busybox", name).code == 0
        anonymous = engine.docker("push", name, env={"HOME": str(tmp_path / "elsewhere")})
        assert anonymous.code == 1
        assert b"no basic auth credentials" in anonymous.err
        pushed = engine.docker("push", name, env=home)
        assert pushed.code == 0, pushed
        assert engine.docker("rmi", name, "busybox").code == 0
        pulled = engine.sampan("pull", name, env=home)
        assert pulled.code == 0, pulled
        assert engine.docker("run", "--rm", "--net", "none", name, "echo", "there and back").text == "there and back"


@contextmanager
def tunnels() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that knows CONNECT; its address, and the heads that it was sent."""
    heads: list[bytes] = []
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        threads = []
        while True:
            client, _ = server.accept()
            if ended.is_set():
                client.close()
                break
            threads.append(threading.Thread(target=carry, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join(10)

    def carry(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            heads.append(head)
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as peer:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                pair = {client: peer, peer: client}
                while not ended.is_set():
                    for ready in select.select(list(pair), [], [], 0.1)[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        pair[ready].sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    address = server.getsockname()
    try:
        yield f"{address[0]}:{address[1]}", heads
    finally:
        ended.set()
        socket.create_connection(address).close()
        thread.join(15)
        server.close()


def test_tls_through_a_proxy(tmp_path: Path, certificates: Certificates) -> None:
    """The registry's name is proved through the tunnel; the proxy gets its own password, and sees nothing else."""
    with (
        running_registry(tmp_path / "r", tls=certificates, users={"me": "secret"}) as registry,
        tunnels() as (at, heads),
    ):
        trust(tmp_path / "certs.d", registry.secure_address, certificates)
        proxies = Proxies(https=f"http://name:word@{at}")
        registries = RemoteRegistries(Settings(certificates=(tmp_path / "certs.d",), proxies=proxies))
        me = Credentials("me", "secret")
        push(registries, registry.secure_address, "app", me)
        with registries.pulling(registry.secure_address, "app", me).blob(described(LAYER)) as stream:
            assert stream.read() == LAYER
        registries.close()
    assert heads
    for head in heads:
        assert head.startswith(f"CONNECT {registry.secure_address} HTTP/1.".encode())
        assert b"roxy-Authorization: Basic bmFtZTp3b3Jk" in head or b"roxy-authorization: Basic bmFtZTp3b3Jk" in head
        assert b"\r\nAuthorization:" not in head
