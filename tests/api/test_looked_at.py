"""What inspect says can be looked at: every path is there, and shows what it says."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")
_WRITE = "echo new > /new; rm /etc/passwd; mkdir /d; exec sleep 600"


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def run(engine: Sampan, *words: str) -> str:
    done = engine.docker(*words)
    assert done.code == 0, done
    return done.text


def inspect(engine: Sampan, name: str) -> dict[str, Any]:
    found = json.loads(run(engine, "inspect", name))
    assert isinstance(found, list)
    return dict(found[0])


def check_tree(place: str) -> None:
    root = Path(place)
    assert (root / "new").read_text() == "new\n"
    assert (root / "d").is_dir()
    assert (root / "bin/busybox").exists()
    assert not (root / "etc/passwd").exists()


def test_every_path_of_a_running_container(engine: Sampan) -> None:
    run(engine, "run", "-d", "--name", "look", "-p", "127.0.0.1::80", "busybox", "sh", "-c", _WRITE)
    found = inspect(engine, "look")
    data = found["GraphDriver"]["Data"]
    eventually(lambda: Path(data["MergedDir"], "d").exists())
    check_tree(data["MergedDir"])
    assert Path(data["UpperDir"], "new").read_text() == "new\n"
    assert all(Path(lower).is_dir() for lower in data["LowerDir"].split(":"))
    assert any(Path(lower, "bin/busybox").exists() for lower in data["LowerDir"].split(":"))
    assert Path(data["WorkDir"]).is_dir()
    assert Path(found["HostnamePath"]).read_text().strip() == found["Config"]["Hostname"]
    assert found["NetworkSettings"]["IPAddress"] in Path(found["HostsPath"]).read_text()
    assert Path(found["ResolvConfPath"]).is_file()
    assert Path(found["LogPath"]).is_file()
    assert os.readlink(found["NetworkSettings"]["SandboxKey"]).startswith("net:[")
    assert (
        os.stat(found["NetworkSettings"]["SandboxKey"]).st_ino
        == os.stat(f"/proc/{found['State']['Pid']}/ns/net").st_ino
    )


def test_those_of_the_image_host(engine: Sampan) -> None:
    run(engine, "run", "-d", "--name", "here", "--net", "none", "host", "sleep", "600")
    lowers = inspect(engine, "here")["GraphDriver"]["Data"]["LowerDir"].split(":")
    assert lowers[-1] == "/"
    assert all(Path(lower).is_dir() for lower in lowers), lowers


def test_a_stopped_container_by_mount(engine: Sampan) -> None:
    run(engine, "run", "-d", "--name", "look", "--net", "none", "busybox", "sh", "-c", _WRITE)
    running = engine.sampan("mount", "look").text
    assert running == inspect(engine, "look")["GraphDriver"]["Data"]["MergedDir"]
    eventually(lambda: Path(running, "d").exists())
    run(engine, "kill", "look")
    eventually(lambda: not inspect(engine, "look")["State"]["Running"])
    stopped = inspect(engine, "look")
    assert stopped["GraphDriver"]["Data"]["MergedDir"] == ""
    for name in ("HostnamePath", "HostsPath", "ResolvConfPath", "LogPath"):
        assert Path(stopped[name]).is_file()
    place = engine.sampan("mount", "look").text
    assert engine.sampan("mount", "look").text == place
    assert inspect(engine, "look")["GraphDriver"]["Data"]["MergedDir"] == place
    check_tree(place)
    with pytest.raises(OSError, match="Read-only"):
        Path(place, "written").write_text("x")
    assert place in engine.sampan("mount").text
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(engine.data_root) not in mounts, "the host sees no mount"
    assert engine.sampan("umount", "look").text == "look"
    assert not Path(place).exists()
    assert engine.sampan("mount").text == ""


def test_a_start_and_a_removal_take_it_back(engine: Sampan) -> None:
    run(engine, "create", "--name", "look", "--net", "none", "busybox", "sleep", "600")
    place = engine.sampan("mount", "look").text
    assert Path(place, "bin/busybox").exists()
    run(engine, "start", "look")
    assert not Path(place).exists()
    run(engine, "rm", "-f", "look")
    run(engine, "create", "--name", "look", "--net", "none", "busybox", "sleep", "600")
    place = engine.sampan("mount", "look").text
    run(engine, "rm", "look")
    assert not Path(place).exists()


def test_it_is_gone_with_the_daemon(engine: Sampan) -> None:
    run(engine, "create", "--name", "look", "--net", "none", "busybox", "true")
    place = engine.sampan("mount", "look").text
    assert Path(place, "bin/busybox").exists()
    assert engine.process is not None
    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait()
    engine.process = None
    eventually(lambda: not Path(place).exists())
    engine.start()
    assert engine.sampan("mount").text == ""
    assert engine.sampan("umount", "-a").code == 0
