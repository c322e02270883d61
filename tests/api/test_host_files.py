"""What a container learns of the host: where it is found (`host-gateway`), and whom it asks for names when that changes."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from sampan.network.resolvconf import FALLBACK_SERVERS
from tests.api.test_names import FIRST, SECOND, pid
from tests.api.test_networks import SLEEP, inside, ok, refused, run
from tests.daemons import Sampan, running_sampan
from tests.nameserver import addresses, ask, query, says, serving
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables")

_FOUND = ("cat", "/etc/hosts")
_OWN_ETC = 'mount --bind "$0" /etc && exec "$@"'
"""The daemon's machine has an /etc of its own, whose files are replaced as programs do it: by renaming."""


def gateways(text: str) -> list[str]:
    """The addresses of the name `up` in a hosts file."""
    return [line.split()[0] for line in text.splitlines() if line.split()[1:] == ["up"]]


def shown(engine: Sampan, *flags: str) -> list[str]:
    return gateways(ok(engine.docker("run", "--rm", "--add-host", "up:host-gateway", *flags, "busybox", *_FOUND)))


def test_host_gateway_is_the_default_bridge_s_address_in_every_network(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"ipv6": True, "fixed-cidr-v6": "fd73::/64", "bip": "10.73.0.1/24"}))
    with running_sampan("--config-file", str(path)) as engine:
        engine.load_busybox()
        ok(engine.docker("network", "create", "plain"))
        ok(engine.docker("network", "create", "--internal", "inner"))
        ok(engine.docker("network", "create", "--ipv6", "--ipv4=false", "six"))
        for network in ("bridge", "plain", "inner", "six", "none", "host"):
            assert shown(engine, "--network", network) == ["10.73.0.1", "fd73::1"], network
        # And there the host is: a service of its own is reached from a network of one's own.
        with socket.create_server(("10.73.0.1", 0)) as service:
            service.settimeout(10)
            port = str(service.getsockname()[1])
            words = ("busybox", "sh", "-c", f"echo hello | nc up {port}")
            ok(engine.docker("run", "-d", "--network", "plain", "--add-host", "up:host-gateway", *words))
            caller, _ = service.accept()
            with caller:
                assert caller.recv(100) == b"hello\n"
        engine.remove_containers()
        ok(engine.docker("network", "prune", "-f"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"host-gateway-ip": "192.0.2.7"}, ["192.0.2.7"]),
        ({"host-gateway-ips": ["192.0.2.7", "2001:db8::7"]}, ["192.0.2.7", "2001:db8::7"]),
        ({"bridge": "none"}, None),
    ],
)
def test_host_gateway_as_the_daemon_is_told(
    settings: dict[str, object], expected: list[str] | None, tmp_path: Path
) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(settings))
    with running_sampan("--config-file", str(path)) as engine:
        engine.load_busybox()
        ok(engine.docker("network", "create", "plain"))
        for network in ("plain", "none"):
            if expected is not None:
                assert shown(engine, "--network", network) == expected
                continue
            words = ("--network", network, "--add-host", "up:host-gateway", "busybox", *_FOUND)
            assert "unable to derive the IP value for host-gateway" in refused(engine.docker("run", "--rm", *words))
        engine.remove_containers()
        ok(engine.docker("network", "prune", "-f"))


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """An /etc whose resolv.conf names FIRST."""
    made = tmp_path / "etc"
    shutil.copytree("/etc", made, symlinks=True)
    resolves(made, f"nameserver {FIRST}\nsearch one.example\n")
    return made


def resolves(etc: Path, text: str) -> None:
    """Put another resolv.conf in its place."""
    (etc / "resolv.conf.new").write_text(text)
    os.rename(etc / "resolv.conf.new", etc / "resolv.conf")


def conf(engine: Sampan, name: str) -> list[str]:
    lines = ok(inside(engine, name, "cat", "/etc/resolv.conf")).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_changes_of_the_host_s_resolv_conf_are_followed(etc: Path) -> None:
    within = ("unshare", "--mount", "sh", "-c", _OWN_ETC, str(etc))
    with (
        running_sampan(within=within) as engine,
        serving(FIRST, says("192.0.2.1")) as first,
        serving(SECOND, says("192.0.2.2")),
    ):
        engine.load_busybox()
        ok(engine.docker("network", "create", "back"))
        run(engine, "mine", "--network", "back")
        run(engine, "told", "--network", "back", "--dns", FIRST)
        run(engine, "plain")
        run(engine, "host", "--network", "host")
        # A server on the host's loopback is of no use on the default bridge; sampan-net reaches it, and so does the host's network.
        assert conf(engine, "plain") == [*(f"nameserver {one}" for one in FALLBACK_SERVERS), "search one.example"]
        assert conf(engine, "host") == [f"nameserver {FIRST}", "search one.example"]
        assert answer(engine, "mine") == ["192.0.2.1"]
        resolves(etc, f"nameserver {SECOND}\nnameserver 10.9.8.7\nsearch two.example\noptions timeout:1\n")
        # The resolver follows, and forgets what the other said; what a container chose for itself stays.
        eventually(lambda: answer(engine, "mine") == ["192.0.2.2"], "it asks whom it asked before")
        first.behave = says("192.0.2.9", ttl=0)
        assert answer(engine, "told", "other.example") == ["192.0.2.9"]
        # Docker's rule for files: those of running containers stay, the next start writes them anew.
        assert conf(engine, "plain")[-1] == "search one.example"
        assert conf(engine, "mine")[:2] == ["nameserver 127.0.0.11", "search one.example"]
        ok(engine.docker("restart", "-t0", "plain", "mine", "host"))
        assert conf(engine, "plain") == ["nameserver 10.9.8.7", "search two.example", "options timeout:1"]
        assert conf(engine, "mine") == ["nameserver 127.0.0.11", "search two.example", "options timeout:1 ndots:0"]
        assert conf(engine, "host")[0] == f"nameserver {SECOND}"
        # A file that is gone is as good as an empty one, until there is one again.
        (etc / "resolv.conf").unlink()
        run(engine, "later")
        assert conf(engine, "later") == [f"nameserver {one}" for one in FALLBACK_SERVERS]
        resolves(etc, f"nameserver {FIRST}\n")
        first.behave = says("192.0.2.3")
        eventually(lambda: answer(engine, "mine") == ["192.0.2.3"], "it does not ask the new server")
        # It does so after the daemon's death, too: the next one tells it what has changed meanwhile.
        engine.kill()
        resolves(etc, f"nameserver {SECOND}\n")
        engine.start()
        eventually(lambda: answer(engine, "mine") == ["192.0.2.2"], "it was not told")
        engine.remove_containers()
        ok(engine.docker("network", "prune", "-f"))


def answer(engine: Sampan, name: str, wanted: str = "www.example") -> list[str]:
    return addresses(ask(pid(engine, name), query(wanted)))


def test_an_end_point_s_own_servers(tmp_path: Path) -> None:
    """`com.docker.network.endpoint.dnsservers`, where nothing is said for the container as a whole."""
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"dns": [SECOND]}))
    with (
        running_sampan("--config-file", str(path)) as engine,
        serving(FIRST, says("192.0.2.1")),
        serving(SECOND, says("192.0.2.2")),
    ):
        engine.load_busybox()
        ok(engine.docker("network", "create", "back"))
        chosen = f"name=back,driver-opt=com.docker.network.endpoint.dnsservers={FIRST}"
        run(engine, "own", "--network", chosen)
        run(engine, "both", "--network", chosen, "--dns", SECOND)
        run(engine, "plain", "--network", "back")
        assert answer(engine, "own") == ["192.0.2.1"]
        assert answer(engine, "both") == ["192.0.2.2"]
        assert answer(engine, "plain") == ["192.0.2.2"]
        said = refused(engine.docker("run", "--network", chosen + "x", *SLEEP))
        assert "invalid com.docker.network.endpoint.dnsservers" in said
        engine.remove_containers()
        ok(engine.docker("network", "prune", "-f"))
