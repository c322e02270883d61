"""`sampan system debug`: what is in the report, with a daemon, without one and with one that hangs; and that no secret is."""

import base64
import io
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Layer
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "bridge", "busybox")

SECRET = "hush-hush-42"
PROXY = f"http://me:{SECRET}@127.0.0.1:1"
ALWAYS = {
    *("about.json", "config.json", "check.json", "log.txt"),
    *(f"host/{name}" for name in ("facts.json", "kernel.txt", "memory.txt", "check.json", "mounts.txt")),
    *("host/groups.json", "host/processes.json"),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("etc") / "daemon.json"
    path.write_text(
        json.dumps({"labels": [f"a={SECRET}"], "log-opts": {"labels": SECRET}, "metrics-addr": "127.0.0.1:0"})
    )
    return path


@pytest.fixture(scope="module")
def engine(settings: Path) -> Iterator[Sampan]:
    flags = ("--debug", "--http-proxy", PROXY, "--https-proxy", PROXY, "--config-file", str(settings))
    with running_sampan(*flags) as started:
        started.load_busybox()
        put_secrets_everywhere(started)
        yield started


def put_secrets_everywhere(engine: Sampan) -> None:
    body = {
        "Image": "busybox",
        "Cmd": ["sh", "-c", f"sleep 1000 # {SECRET}"],
        "Env": [f"TOKEN={SECRET}"],
        "Labels": {"key": SECRET, SECRET: "value"},
        "Healthcheck": {"Test": ["CMD-SHELL", f"echo {SECRET}"], "Interval": 1_000_000_000},
        "HostConfig": {
            "NetworkMode": "back",
            "Binds": ["data:/data"],
            "LogConfig": {"Type": "json-file", "Config": {"tag": SECRET}},
        },
    }
    driver = {"type": "tmpfs", "device": "tmpfs", "o": f"size=1m,context={SECRET}"}
    assert engine.api("POST", "/volumes/create", {"Name": "data", "Labels": {"a": SECRET}}).status == 201
    assert engine.api("POST", "/volumes/create", {"Name": "kept", "DriverOpts": driver}).status == 201
    subnet = {"Config": [{"Subnet": "10.199.7.0/24"}]}
    network = {"Name": "back", "Labels": {"a": SECRET}, "Options": {"x": SECRET}, "IPAM": subnet}
    assert engine.api("POST", "/networks/create", network).status == 201
    assert engine.api("POST", "/containers/create?name=full", body).status == 201
    assert engine.api("POST", "/containers/full/start").status == 204
    assert engine.inside("full", "sh", "-c", f"echo {SECRET}").code == 0
    wrong = {"Image": "busybox", "Cmd": [f"/{SECRET}"], "HostConfig": {"NetworkMode": "none"}}
    assert engine.api("POST", "/containers/create?name=wrong", wrong).status == 201
    assert engine.api("POST", "/containers/wrong/start").status >= 400
    login = {"username": "me", "password": SECRET, "serveraddress": "127.0.0.1:1"}
    header = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}
    engine.api("POST", "/auth", login)
    engine.api("POST", "/images/create?fromImage=127.0.0.1:1/a&tag=b", headers=header)
    context = Layer()
    context.file("Dockerfile", b"FROM busybox\nARG TOKEN\nENV X=$TOKEN\nLABEL a=$TOKEN\nRUN echo $TOKEN\n")
    built = engine.api("POST", f'/build?networkmode=none&t=made&buildargs={{"TOKEN":"{SECRET}"}}', context.tar())
    assert b"Successfully tagged" in built.body


def opened(archive: bytes) -> dict[str, str]:
    """Members by their names, without the directory that all are in."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for one in tar:
            file = tar.extractfile(one)
            assert file is not None
            assert one.mode == 0o600
            found[one.name.partition("/")[2]] = file.read().decode()
        return found


def holding(members: dict[str, str]) -> list[str]:
    return [name for name, text in members.items() if SECRET in name or SECRET in text]


def test_the_daemon_makes_a_whole_report_without_secrets(engine: Sampan, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    done = engine.sampan("system", "debug", "-o", str(path))
    assert (done.code, done.text) == (0, str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    members = opened(path.read_bytes())
    more = {"info.json", "version.json", "metrics.txt", "stacks.txt", "state/containers.json", "state/events.json"}
    assert members.keys() >= ALWAYS | more | {"state/images.json", "state/networks.json", "state/volumes.json"}
    assert json.loads(members["about.json"])["lacking"] == []
    assert holding(members) == []
    containers = {one["name"]: one for one in json.loads(members["state/containers.json"])}
    assert (containers["full"]["status"], containers["wrong"]["failed to start"]) == ("running", True)
    assert f"sampan-{engine.instance}" in "".join(text for name, text in members.items() if name.startswith("rules/"))
    assert containers["full"]["id"] in json.loads(members["host/groups.json"])["containers"]
    assert "monitor" in members["host/processes.json"]
    assert "_report" in members["stacks.txt"] or "report" in members["stacks.txt"]
    assert "xxxxx:xxxxx@127.0.0.1:1" in members["config.json"]
    assert "POST /build: 200" in members["log.txt"]
    assert "verdict" in members["check.json"].lower()
    assert "engine_daemon_container_states_containers" in members["metrics.txt"]


def test_it_can_go_to_standard_output_and_never_over_a_file(engine: Sampan, tmp_path: Path) -> None:
    assert "about.json" in opened(engine.sampan("system", "debug", "-o", "-").out)
    kept = tmp_path / "kept"
    kept.write_text("mine")
    assert engine.sampan("system", "debug", "-o", str(kept)).code == 1
    assert kept.read_text() == "mine"


def test_sigusr1_writes_the_stacks(engine: Sampan) -> None:
    assert engine.process is not None
    path = engine.exec_root / "stacks.log"
    assert path.stat().st_mode & 0o777 == 0o600
    engine.process.send_signal(signal.SIGUSR1)
    eventually(lambda: " tasks\n" in path.read_text())
    text = path.read_text()
    assert "Thread" in text
    assert "keep_reloaded" in text
    assert SECRET not in text


def offline(engine: Sampan, settings: Path, path: Path) -> dict[str, str]:
    roots = ("--data-root", str(engine.data_root), "--exec-root", str(engine.exec_root))
    file = ("--config-file", str(settings), "--log-file", str(engine.log))
    done = engine.sampan("system", "debug", "--offline", "-o", str(path), *roots, *file, timeout=120)
    assert done.code == 0, done
    return opened(path.read_bytes())


def test_a_daemon_that_hangs_is_asked_for_its_stacks(engine: Sampan, settings: Path, tmp_path: Path) -> None:
    members = offline(engine, settings, tmp_path / "a")
    assert "does not answer" in json.loads(members["about.json"])["daemon"]
    assert "Thread" in members["stacks.txt"]
    assert members.keys() >= ALWAYS - {"check.json"}
    assert holding(members) == []


def test_a_report_is_made_where_no_daemon_runs(engine: Sampan, settings: Path, tmp_path: Path) -> None:
    engine.kill()
    try:
        members = offline(engine, settings, tmp_path / "b")
        engine.socket.unlink(missing_ok=True)
        unasked = engine.sampan("system", "debug", "-o", os.devnull + "/none")
    finally:
        engine.start("--config-file", str(settings))
    assert json.loads(members["about.json"])["daemon"] == "does not run"
    assert members.keys() >= ALWAYS
    assert "verdict" in members["check.json"].lower()
    assert any(one["path"].endswith("sampan.db") for one in json.loads(members["state/files.json"]))
    assert holding(members) == []
    assert b"Cannot connect" in unasked.err
