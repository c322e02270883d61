"""Volume drivers that are plugins: what the plugin is asked, what clients see, and plugins that do not do what they should."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.plugin_servers import Driver, ServedPlugin, answering, served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture
def driver(engine: Sampan, tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path)
    with plugged(engine, driver):
        yield driver
        engine.remove_containers()
        eventually(driver.idle, "every use has ended")
        for name in list(driver.options):
            assert engine.docker("volume", "rm", name).code == 0


@contextmanager
def plugged(engine: Sampan, driver: Driver) -> Iterator[ServedPlugin]:
    with served(engine.exec_root / "plugins" / "kept.sock", "VolumeDriver", driver.answers()) as plugin:
        yield plugin


def docker(engine: Sampan, *words: str) -> str:
    done = engine.docker(*words)
    assert done.code == 0, (done.out, done.err)
    return done.text


def test_a_volume_from_create_to_removal(engine: Sampan, driver: Driver) -> None:
    docker(engine, "volume", "create", "-d", "kept", "-o", "size=5", "--label", "a=b", "data")
    assert driver.options == {"data": {"size": "5"}}
    assert docker(engine, "volume", "ls", "--format", "{{.Driver}} {{.Name}}", "-f", "driver=kept") == "kept data"
    shown = json.loads(docker(engine, "volume", "inspect", "data"))[0]
    assert shown == {
        "CreatedAt": "2020-02-03T04:05:06Z",
        "Driver": "kept",
        "Labels": {"a": "b"},
        "Mountpoint": str(driver.directory / "data"),
        "Name": "data",
        "Options": {"size": "5"},
        "Scope": "global",
        "Status": {"of": ["a", "b"], "replicas": 3},
    }
    assert "kept" in docker(engine, "info", "--format", "{{.Plugins.Volume}}")
    docker(engine, "volume", "rm", "data")
    assert driver.options == {}
    assert engine.docker("volume", "inspect", "data").code != 0


def test_containers_write_where_the_plugin_says(engine: Sampan, driver: Driver) -> None:
    line = ("run", "--rm", "--network", "none", "--volume-driver", "kept", "-v", "data:/d", "busybox", "sh", "-c")
    docker(engine, *line, "echo kept > /d/file")
    assert (driver.directory / "data" / "file").read_text() == "kept\n"
    # The second container finds the volume by its name alone.
    assert docker(engine, "run", "--rm", "--network", "none", "-v", "data:/d:ro", "busybox", "cat", "/d/file") == "kept"
    eventually(driver.idle, "both uses have ended")


def test_uses_are_counted_for_each_container(engine: Sampan, driver: Driver) -> None:
    run = ("run", "-d", "--network", "none", "-v", "data:/d", "-v", "data:/again")
    docker(engine, "volume", "create", "-d", "kept", "data")
    docker(engine, *run, "--name", "one", "busybox", "sleep", "1000")
    docker(engine, *run, "--name", "two", "busybox", "sleep", "1000")
    eventually(lambda: len(set(driver.uses["data"])) == 2 == len(driver.uses["data"]), "one use for each")
    assert b"volume is in use" in engine.docker("volume", "rm", "data").err
    docker(engine, "rm", "-f", "one")
    eventually(lambda: len(driver.uses["data"]) == 1, "one has ended")
    docker(engine, "restart", "-t", "0", "two")
    eventually(lambda: len(driver.uses["data"]) == 1, "the other is there again")
    docker(engine, "rm", "-f", "two")
    eventually(driver.idle, "both have ended")


def test_uses_survive_the_daemon(engine: Sampan, driver: Driver) -> None:
    docker(engine, "volume", "create", "-d", "kept", "data")
    for name in ("stays", "ends"):
        docker(engine, "run", "-d", "--network", "none", "--name", name, "-v", "data:/d", "busybox", "sleep", "1000")
    pid = docker(engine, "inspect", "-f", "{{.State.Pid}}", "ends")
    engine.kill()
    os.kill(int(pid), 9)
    engine.start()
    eventually(lambda: len(driver.uses["data"]) == 1, "the use of the one that ended is ended")
    source = "{{(index .Mounts 0).Source}}"
    eventually(
        lambda: docker(engine, "inspect", "-f", source, "stays") == str(driver.directory / "data"), "the place is known"
    )
    docker(engine, "exec", "stays", "sh", "-c", "echo x > /d/after")
    assert (driver.directory / "data" / "after").exists()
    docker(engine, "rm", "-f", "stays")
    eventually(driver.idle, "the other, too")


def test_a_new_volume_begins_with_what_the_image_has(engine: Sampan, driver: Driver) -> None:
    docker(engine, "run", "--rm", "--network", "none", "--volume-driver", "kept", "-v", "data:/bin", "busybox", "true")
    assert (driver.directory / "data" / "busybox").exists()


def test_anonymous_volumes_go_with_their_container(engine: Sampan, driver: Driver) -> None:
    docker(engine, "run", "-d", "--network", "none", "--name", "one", "--volume-driver", "kept", "-v", "/d", "busybox")
    assert len(driver.options) == 1
    docker(engine, "rm", "-fv", "one")
    assert driver.options == {}


def test_what_the_plugin_refuses_is_said_in_dockers_words(engine: Sampan, driver: Driver) -> None:
    failed = engine.api("POST", "/volumes/create", {"Name": "v", "Driver": "kept", "DriverOpts": {"fail": "1"}})
    assert (failed.status, failed.json()) == (500, {"message": "create v: no room left"})
    missing = engine.api("POST", "/volumes/create", {"Name": "v", "Driver": "nobody"})
    text = 'create v: error looking up volume plugin nobody: plugin "nobody" not found'
    assert (missing.status, missing.json()) == (404, {"message": text})
    docker(engine, "volume", "create", "mine")
    taken = engine.api("POST", "/volumes/create", {"Name": "mine", "Driver": "kept"})
    assert taken.status == 409
    docker(engine, "volume", "rm", "mine")


def test_a_plugin_that_is_away(engine: Sampan, driver: Driver, tmp_path: Path) -> None:
    with served(engine.exec_root / "plugins" / "gone.sock", "VolumeDriver", Driver(tmp_path / "g").answers()):
        docker(engine, "volume", "create", "-d", "gone", "lost")
    began = time.monotonic()
    listed = engine.api("GET", "/volumes").json()
    assert isinstance(listed, dict)
    assert ("lost", "gone") in [(volume["Name"], volume["Driver"]) for volume in listed["Volumes"]]
    assert engine.api("GET", "/volumes/lost").status in (404, 500)
    docker(engine, "volume", "rm", "-f", "lost")
    assert "lost" not in docker(engine, "volume", "ls", "-q")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "place", ["relative", "", "/nowhere/at/all", "/", "{data}", "{data}/volumes", "{run}", "/etc/passwd"]
)
def test_a_mount_point_that_is_a_lie(engine: Sampan, driver: Driver, place: str) -> None:
    told = place.format(data=engine.data_root, run=engine.exec_root)
    with served(
        engine.exec_root / "plugins" / "liar.sock",
        "VolumeDriver",
        {**driver.answers(), "VolumeDriver.Mount": {"Mountpoint": told}, "VolumeDriver.Unmount": {}},
    ):
        docker(engine, "volume", "create", "-d", "liar", "lie")
        done = engine.docker("run", "--rm", "--network", "none", "-v", "lie:/d:nocopy", "busybox", "ls", "/d")
        assert done.code == 125, (done.out, done.err)
        assert b"error while mounting volume" in done.err
        docker(engine, "volume", "rm", "lie")


def test_a_plugin_that_never_answers_keeps_nobody_waiting(engine: Sampan, driver: Driver) -> None:
    def mute(connection: socket.socket) -> None:
        connection.recv(1)

    with answering(engine.exec_root / "plugins" / "mute.sock", mute):
        waiting = [
            subprocess.Popen(
                ["docker", "-H", engine.host, "volume", "create", "-d", "mute", f"v{number}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(5)
        ]
        try:
            began = time.monotonic()
            docker(engine, "volume", "create", "-d", "kept", "data")
            docker(engine, "run", "--rm", "--network", "none", "-v", "data:/d", "busybox", "true")
            assert time.monotonic() - began < 10
        finally:
            for one in waiting:
                one.kill()
                one.wait()
