"""SIGHUP: what a changed daemon.json changes in a running daemon, what it does not, and files that are wrong."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reload") / "daemon.json"
    path.write_text(json.dumps({"labels": ["a=1"], "shutdown-timeout": 7}))
    return path


@pytest.fixture(scope="module")
def host(file: Path) -> Iterator[Sampan]:
    with running_sampan("--config-file", str(file)) as engine:
        yield engine


def hang_up(host: Sampan) -> None:
    assert host.process is not None
    host.process.send_signal(signal.SIGHUP)


def reloads(host: Sampan, since: float) -> list[dict[str, Any]]:
    answer = host.api("GET", f"/events?since={since:.9f}&until={time.time():.9f}")
    told = [json.loads(line) for line in answer.body.splitlines()]
    return [one for one in told if (one["Type"], one["Action"]) == ("daemon", "reload")]


def reloaded(host: Sampan, file: Path, text: str) -> dict[str, str]:
    """Write the file, hang up, and wait for the event's attributes."""
    since = time.time()
    file.write_text(text)
    hang_up(host)
    eventually(lambda: reloads(host, since), "nothing was reloaded")
    (event,) = reloads(host, since)
    found: dict[str, str] = event["Actor"]["Attributes"]
    return found


def info(host: Sampan) -> dict[str, Any]:
    found = host.api("GET", "/info").json()
    assert isinstance(found, dict)
    return found


def test_what_is_reloaded(host: Sampan, file: Path) -> None:
    before = info(host)
    assert (before["Labels"], before["Debug"], before["LiveRestoreEnabled"]) == (["a=1"], False, True)
    changed = {
        "labels": ["a=2", "b=<3>"],
        "debug": True,
        "live-restore": False,
        "default-shm-size": "1m",
        "default-ipc-mode": "shareable",
        "features": {"buildkit": True},
        "max-concurrent-downloads": 9,
        "insecure-registries": ["10.0.0.0/8", "other.example:5000"],
        "registry-mirrors": ["https://mirror.example"],
        "mtu": 1400,
    }
    told = reloaded(host, file, json.dumps(changed))
    assert told.pop("name") == before["Name"]
    assert told == {
        "allow-nondistributable-artifacts": "[]",
        "debug": "true",
        "default-cgroupns-mode": told["default-cgroupns-mode"],
        "default-ipc-mode": "shareable",
        "default-runtime": "runc",
        "default-shm-size": "1048576",
        "features": "map[buildkit:true]",
        "insecure-registries": '["other.example:5000","10.0.0.0/8"]',
        "labels": '["a=2","b=<3>"]',
        "live-restore": "false",
        "max-concurrent-downloads": "9",
        "max-concurrent-uploads": "5",
        "max-download-attempts": "5",
        "registry-mirrors": '["https://mirror.example/"]',
        "runtimes": "runc:sampan",
        "shutdown-timeout": "7",
    }, "what the file no longer gives stays"
    after = info(host)
    assert (after["Labels"], after["Debug"], after["LiveRestoreEnabled"]) == (["a=2", "b=<3>"], True, False)
    known = after["RegistryConfig"]
    assert known["Mirrors"] == ["https://mirror.example/"]
    assert "10.0.0.0/8" in known["InsecureRegistryCIDRs"]
    assert known["IndexConfigs"]["other.example:5000"]["Secure"] is False
    host.load_busybox()
    made = host.api("POST", "/containers/create?name=later", {"Image": "busybox", "Cmd": ["true"]})
    assert made.status == 201
    shown = host.api("GET", "/containers/later/json").json()
    assert isinstance(shown, dict)
    assert (shown["HostConfig"]["ShmSize"], shown["HostConfig"]["IpcMode"]) == (1 << 20, "shareable")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "invalid JSON"),
        ('{"labells": []}', "the following directives don't match any configuration option: labells"),
        ('{"labels": ["a=1", "a=2"]}', "conflict labels for a=2 and a=1"),
        ('{"shutdown-timeout": "soon"}', "shutdown-timeout cannot be soon"),
        ('{"selinux-enabled": true}', "is not supported by Sampan"),
    ],
)
def test_a_wrong_file_changes_nothing(host: Sampan, file: Path, text: str, words: str) -> None:
    told = reloaded(host, file, '{"labels": ["kept=1"], "debug": false}')
    assert told["labels"] == '["kept=1"]'
    since = time.time()
    file.write_text(text)
    hang_up(host)
    eventually(lambda: words in host.log_tail().replace('\\"', '"'), "nothing was said")
    assert "the configuration stays as it was" in host.log_tail()
    assert reloads(host, since) == []
    assert info(host)["Labels"] == ["kept=1"]


def test_live_restore_is_followed_at_the_end(host: Sampan, file: Path) -> None:
    """A daemon that was told to take its containers along does, though it was started to leave them."""
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}, "StopSignal": "KILL"}
    reloaded(host, file, '{"live-restore": false}')
    if host.api("GET", "/images/busybox/json").status == 404:
        host.load_busybox()
    assert host.api("POST", "/containers/create?name=along", body).status == 201
    assert host.api("POST", "/containers/along/start").status == 204
    host.stop()
    file.write_text("{}")
    host.start("--config-file", str(file))
    shown = host.api("GET", "/containers/along/json").json()
    assert isinstance(shown, dict)
    assert shown["State"]["Status"] == "exited"
