"""Plugins that collect metrics: they find the daemon's page at a socket, and are told when it is there, across deaths of either."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import managed
from tests.daemons import Sampan, UnixConnection, running_sampan
from tests.plugin_servers import served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")
_SCRAPES = r"""
        if self.path == "/MetricsCollector.StartMetrics":
            import socket
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect("/run/docker/metrics.sock")
                asking.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
                told = b""
                while piece := asking.recv(65536):
                    told += piece
            print("scraped", told[:15], told.count(b"\nengine_daemon_"), flush=True)
        data = json.dumps(answer).encode()
"""
PROGRAM = managed.PROGRAM.replace("        data = json.dumps(answer).encode()\n", _SCRAPES.lstrip("\n")).replace(
    "VolumeDriver", "MetricsCollector"
)
COLLECTOR = {"interface": {"types": ["docker.metricscollector/1.0"], "socket": "plugin.sock"}}


@pytest.fixture(scope="module")
def sampan() -> Iterator[Sampan]:
    with running_sampan("--bridge", "none") as started:
        yield started


def process(engine: Sampan) -> int:
    (found,) = engine.exec_root.glob("managed/states/*")
    return managed.process(engine.exec_root, found.name)


def test_a_managed_one(sampan: Sampan) -> None:
    socket = sampan.exec_root / "metrics.sock"
    assert not socket.exists()
    archive = managed.archive(managed.config(**COLLECTOR), PROGRAM)
    assert sampan.api("POST", "/plugins/create?name=counts", archive).status == 204

    def told(what: str) -> int:
        return sampan.log.read_text().count(f"plugin counts:latest: {what}")

    try:
        assert sampan.api("POST", "/plugins/counts/enable?timeout=0").status == 200
        eventually(lambda: told("scraped b'HTTP/1.1 200 OK'") == 1, "it was told, and could read")
        assert "engine_daemon_engine_info{" in page(socket)
        # What it has mounted is a socket that went with the daemon: it is started anew.
        sampan.kill()
        sampan.start("--bridge", "none")
        eventually(lambda: told("scraped b'HTTP/1.1 200 OK'") == 2, "the next daemon tells it")
        # With a container that runs the socket outlives the daemon, and so does the plugin.
        sampan.load_busybox()
        assert sampan.docker("run", "-d", "--name", "stays", "--network", "none", "busybox", "sleep", "600").code == 0
        before = process(sampan)
        sampan.kill()
        sampan.start("--bridge", "none")
        eventually(lambda: told("scraped b'HTTP/1.1 200 OK'") == 3, "the next daemon tells it")
        assert process(sampan) == before
        os.kill(before, signal.SIGKILL)
        eventually(lambda: told("scraped b'HTTP/1.1 200 OK'") == 4, "one that was started anew is told, too")
        assert sampan.api("POST", "/plugins/counts/disable").status == 200
        eventually(lambda: told("/MetricsCollector.StopMetrics") == 1, "the end was told")
    finally:
        assert sampan.api("DELETE", "/plugins/counts?force=1").status == 200
        sampan.remove_containers()


def test_one_that_somebody_else_runs(sampan: Sampan) -> None:
    answers: dict[str, Any] = {"MetricsCollector.StartMetrics": {"Err": ""}, "MetricsCollector.StopMetrics": {}}
    with served(sampan.exec_root / "plugins" / "watches.sock", "MetricsCollector", answers) as plugin:
        assert sampan.api("GET", "/volumes").status == 200
        eventually(lambda: plugin.of("MetricsCollector.StartMetrics"), "it was told")
        assert "engine_daemon_engine_info{" in page(sampan.exec_root / "metrics.sock")
        sampan.stop()
        assert plugin.names()[-1] == "MetricsCollector.StopMetrics"
        assert not (sampan.exec_root / "metrics.sock").exists()
        sampan.start("--bridge", "none")


def test_one_that_fails_is_no_trouble(sampan: Sampan) -> None:
    with served(sampan.exec_root / "plugins" / "fails.sock", "MetricsCollector", {}):
        assert sampan.api("GET", "/volumes").status == 200
        eventually(lambda: "plugin fails: MetricsCollector.StartMetrics: 404" in sampan.log.read_text(), "it is told")


def page(socket: Path) -> str:
    with closing(UnixConnection(socket, 10)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
