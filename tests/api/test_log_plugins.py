"""Log drivers that are plugins: what reaches them, across deaths of the daemon and of the shipper, and what `docker logs` shows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.log_plugins import Collector
from tests.plugin_servers import served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture
def collector(engine: Sampan) -> Iterator[Collector]:
    collector = Collector()
    with served(engine.exec_root / "plugins" / "collects.sock", "LogDriver", collector.answers()):
        yield collector
        engine.remove_containers()
        eventually(lambda: len(collector.stopped) == len(collector.infos), "each log was ended")


def run(engine: Sampan, *words: str, script: str) -> str:
    line = ("run", "--network", "none", "--log-driver", "collects", *words, "busybox", "sh", "-c", script)
    done = engine.docker(*line)
    assert done.code == 0, (done.out, done.err)
    return done.text


def lines(collector: Collector) -> list[tuple[str, bytes]]:
    return [(found.source, found.line) for found in collector.entries]


def test_what_a_container_says_reaches_the_plugin(engine: Sampan, collector: Collector) -> None:
    script = "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo"
    words = ("--name", "one", "--label", "l=1", "-e", "E=2", "--log-opt", "where=there", "--log-opt", "tag={{.Mine}}")
    run(engine, *words, script=script)
    eventually(lambda: len(collector.entries) == 4, "four records")
    assert [line for source, line in lines(collector) if source == "stderr"] == [b"err"]
    first, *long = [found for found in collector.entries if found.source == "stdout"]
    assert (first.line, first.partial) == (b"out", False)
    assert [len(found.line) for found in long] == [16384, 3616]
    assert [(found.partial, found.partial_log_metadata.ordinal) for found in long] == [(True, 1), (True, 2)]
    assert long[1].partial_log_metadata.last
    info = collector.infos[0]
    assert info["Config"] == {"where": "there", "tag": "{{.Mine}}"}
    assert (info["ContainerName"], info["ContainerEntrypoint"]) == ("/one", "sh")
    assert info["ContainerArgs"] == ["-c", script]
    assert info["ContainerImageName"] == "busybox"
    assert info["ContainerLabels"] == {"l": "1"}
    assert "E=2" in info["ContainerEnv"]
    assert engine.docker("logs", "one").out.startswith(b"out\n")  # from the local copy
    assert "collects" in engine.docker("info", "--format", "{{.Plugins.Log}}").text
    assert engine.docker("inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "one").text == "collects"


def test_nothing_is_lost_when_daemon_and_shipper_die(engine: Sampan, collector: Collector, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run(
        engine,
        *("-d", "-v", f"{tmp_path}:/t", "--name", "one"),
        script="echo before; until [ -e /t/gate ]; do sleep 0.1; done; echo after",
    )
    eventually(lambda: lines(collector) == [("stdout", b"before")], "the first line")
    shipper = int((engine.exec_root / "shipping" / "shipper.lock").read_text())
    engine.kill()
    os.kill(shipper, signal.SIGKILL)
    gate.touch()
    engine.start()
    eventually(lambda: ("stdout", b"after") in lines(collector), "the last line")
    assert len(collector.infos) == 2


def test_a_plugin_that_reads_nothing_holds_nobody_up(engine: Sampan) -> None:
    deaf = Collector()
    deaf.reading = False
    with served(engine.exec_root / "plugins" / "deaf.sock", "LogDriver", deaf.answers()):
        done = engine.docker("run", "--network", "none", "--log-driver", "deaf", "busybox", "seq", "1", "100000")
        assert done.text.endswith("100000")
        eventually(lambda: deaf.infos, "it was told")
    engine.remove_containers()


@pytest.mark.parametrize("option", ["cache-disabled=true"])
def test_without_a_local_copy_there_is_nothing_to_read(engine: Sampan, collector: Collector, option: str) -> None:
    run(engine, "--name", "one", "--log-opt", option, script="echo x")
    assert b"configured logging driver does not support reading" in engine.docker("logs", "one").err
    eventually(lambda: lines(collector) == [("stdout", b"x")], "it was sent")


def test_a_driver_that_nobody_has(engine: Sampan) -> None:
    for name in ("nobody", "../x"):
        made = engine.api(
            "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": name}}}
        )
        assert (made.status, made.json()) == (400, {"message": f"logger: no log driver named '{name}' is registered"})
