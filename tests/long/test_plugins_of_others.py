"""Plugins that others wrote for Docker, unchanged: a volume driver and a network and IPAM driver in Python, managed ones in Go."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import managed
from tests.daemons import Sampan, free_port, running_sampan
from tests.long.neutron import Neutron, running_neutron
from tests.long.others import KURYR, WOLPHIN, moby_program, python_of
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox", "ip", "go")


@pytest.fixture
def sampan(tmp_path: Path) -> Iterator[Sampan]:
    with running_sampan("--plugin-dir", str(tmp_path / "plugins")) as engine:
        engine.load_busybox()
        yield engine
        engine.remove_containers()


@contextmanager
def running(log: Path, *words: str, **environment: str) -> Iterator[None]:
    """A program until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environment}
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def ok(engine: Sampan, *words: str) -> str:
    done = engine.docker(*words)
    assert done.code == 0, (words, done.out, done.err, engine.log_tail())
    return done.text


# ---- PyPI: wolphin-driver (Flask and gunicorn), volumes


def test_a_volume_driver_in_python(sampan: Sampan, tmp_path: Path) -> None:
    socket, kept = tmp_path / "plugins" / "wolphin.sock", tmp_path / "kept"
    for directory in (socket.parent, kept):
        directory.mkdir(exist_ok=True)
    gunicorn = str(python_of(WOLPHIN) / "gunicorn")
    words = (gunicorn, f"--bind=unix:{socket}", "--workers=1", "wolphin_driver.wsgi:app")
    with running(tmp_path / "wolphin.log", *words, BASE_DIR=str(kept)):
        eventually(socket.is_socket, "it listens")
        assert ok(sampan, "volume", "create", "-d", "wolphin", "data") == "data"
        ok(sampan, "run", "--rm", "--network", "none", "-v", "data:/d", "busybox", "sh", "-c", "echo kept >/d/file")
        assert (kept / "data/file").read_text() == "kept\n"
        assert ok(sampan, "run", "--rm", "--network", "none", "-v", "data:/d", "busybox", "cat", "/d/file") == "kept"
        assert (
            ok(sampan, "volume", "inspect", "-f", "{{.Driver}} {{.Scope}} {{.Status.meow}}", "data")
            == "wolphin global mix"
        )
        assert "data" in ok(sampan, "volume", "ls", "-q", "-f", "driver=wolphin").split()
        # It counts uses by their IDs: one file for each.
        ok(sampan, "run", "-d", "--name", "uses", "--network", "none", "-v", "data:/d", "busybox", "sleep", "600")
        assert len(list((kept / "__data").iterdir())) == 1
        sampan.kill()
        sampan.start("--plugin-dir", str(socket.parent))
        assert "volume is in use" in sampan.docker("volume", "rm", "data").err.decode()
        ok(sampan, "rm", "-f", "uses")
        eventually(lambda: not list((kept / "__data").iterdir()), "the use has ended")
        ok(sampan, "volume", "rm", "data")
        assert not (kept / "data").exists()
        refused = sampan.docker("volume", "create", "-d", "wolphin", "@")
        assert refused.code != 0


# ---- PyPI: kuryr-libnetwork (OpenStack), networks and addresses


@contextmanager
def running_kuryr(directory: Path) -> Iterator[Neutron]:
    port, place = free_port(), python_of(KURYR)
    with running_neutron() as (neutron, at):
        (directory / "kuryr.conf").write_text(
            f"[DEFAULT]\nkuryr_uri = http://127.0.0.1:{port}\nbindir = {place.parent / 'libexec/kuryr'}\n"
            f"[neutron]\nauth_type = none\nendpoint = http://127.0.0.1:{at}\n"
        )
        plugins = directory / "plugins"
        plugins.mkdir(exist_ok=True)
        (plugins / "kuryr.spec").write_text(f"tcp://127.0.0.1:{port}\n")
        words = (str(place / "kuryr-server"), "--config-file", str(directory / "kuryr.conf"))
        with running(directory / "kuryr.log", *words):
            eventually(lambda: "Running on" in (directory / "kuryr.log").read_text(), "it listens")
            yield neutron


def test_a_network_and_ipam_driver_in_python(sampan: Sampan, tmp_path: Path) -> None:
    with running_kuryr(tmp_path) as neutron:
        options = ("-d", "kuryr", "--ipam-driver", "kuryr", "--subnet", "10.214.7.0/24", "--gateway", "10.214.7.1")
        bridge = ""
        try:
            ok(sampan, "network", "create", *options, "stack")
            (bridge,) = (f"brq{identifier[:11]}" for identifier in neutron.kept["networks"])
            ok(sampan, "run", "-d", "--name", "one", "--network", "stack", "busybox", "sleep", "600")
            ok(
                sampan,
                "run",
                "-d",
                "--name",
                "two",
                "--network",
                "stack",
                "--ip",
                "10.214.7.77",
                "busybox",
                "sleep",
                "600",
            )
            address = '{{(index .NetworkSettings.Networks "stack").IPAddress}}'
            assert ok(sampan, "inspect", "-f", address, "two") == "10.214.7.77"
            first = ok(sampan, "inspect", "-f", address, "one")
            bound = {one["ip_address"] for port in neutron.kept["ports"].values() for one in port["fixed_ips"]}
            assert {first, "10.214.7.77"} <= bound
            ok(sampan, "exec", "one", "ping", "-c", "1", "-W", "5", "10.214.7.77")
            ok(sampan, "exec", "two", "ping", "-c", "1", "-W", "5", "one")  # by name
            assert "inet 10.214.7.77/24" in ok(sampan, "exec", "two", "ip", "address", "show", "eth0")
            sampan.kill()
            sampan.start("--plugin-dir", str(tmp_path / "plugins"))
            ok(sampan, "exec", "one", "ping", "-c", "1", "-W", "5", "10.214.7.77")
            ok(sampan, "rm", "-f", "one", "two")
            ok(sampan, "network", "rm", "stack")
            assert neutron.empty(), neutron.kept
        finally:
            # The driver leaves its bridge.
            subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)


# ---- Debian's docker.io: moby's own plugins of its tests, in Go, managed


def made(engine: Sampan, name: str, program: str, kind: str, **more: object) -> None:
    """A managed plugin whose root holds that program alone, as moby's tests make it."""
    document = managed.config(
        **{
            "entrypoint": ["/plugin"],
            "interface": {"types": [f"docker.{kind}/1.0"], "socket": "plugin.sock"},
            "mounts": [],
            "env": None,
            "args": {},
            "linux": {},
            **more,
        }
    )
    archive = managed.archive(document, moby_program(program).read_bytes(), "plugin")
    assert engine.api("POST", f"/plugins/create?name={name}", archive).status == 204
    assert engine.api("POST", f"/plugins/{name}/enable?timeout=30").status == 200


def test_a_managed_log_driver_in_go(sampan: Sampan) -> None:
    made(sampan, "discard", "logging/cmd/discard", "logdriver")
    line = ("run", "--network", "none", "--log-driver", "discard")
    try:
        for name, option, shown in (
            ("plain", (), b"hello world\n"),
            ("kept", ("--log-opt", "cache-disabled=false"), b"hello world\n"),
            ("unread", ("--log-opt", "cache-disabled=true"), None),
        ):
            ok(sampan, *line, "--name", name, *option, "busybox", "echo", "hello world")
            read = sampan.docker("logs", name)
            if shown is None:
                assert b"configured logging driver does not support reading" in read.err
            else:
                assert (read.code, read.out) == (0, shown)
    finally:
        sampan.remove_containers()
        assert sampan.api("DELETE", "/plugins/discard?force=1").status == 200


def test_one_that_closes_its_fifo_holds_nobody_up(sampan: Sampan) -> None:
    made(sampan, "closes", "logging/cmd/close_on_start", "logdriver")
    try:
        line = ("run", "-d", "--name", "goes-on", "--network", "none", "--log-driver", "closes")
        ok(sampan, *line, "busybox", "sh", "-c", "while sleep 0.1; do echo hello; done")
        eventually(lambda: sampan.docker("logs", "goes-on").out.count(b"hello") > 20, "it says more and more")
        assert ok(sampan, "inspect", "-f", "{{.State.Running}}", "goes-on") == "true"
    finally:
        sampan.remove_containers()
        assert sampan.api("DELETE", "/plugins/closes?force=1").status == 200


def test_a_managed_volume_driver_that_sees_the_devices(sampan: Sampan, tmp_path: Path) -> None:
    mounts = [
        {"name": "dev", "source": "/dev", "destination": "/dev", "type": "bind", "options": ["rbind"]},
        {"name": "t", "source": str(tmp_path), "destination": "/data", "type": "bind", "options": ["rbind"]},
    ]
    more = {
        "mounts": mounts,
        "pidhost": True,
        "ipchost": True,
        "network": {"type": "host"},
        "propagatedMount": "/data/mnt",
    }
    made(sampan, "dummy", "volumes/cmd/dummy", "volumedriver", **more)
    assert ok(sampan, "plugin", "inspect", "-f", "{{.Enabled}}", "dummy") == "true"
    refused = sampan.docker("volume", "create", "-d", "dummy", "none")
    assert "404 page not found" in refused.err.decode()
    assert sampan.api("POST", "/plugins/dummy/disable").status == 200
    assert sampan.api("DELETE", "/plugins/dummy").status == 200
