"""The daemon is replaced by this tree's while containers run that an older one started: nothing of them is lost or stops.

The older ones are commits of this repository (COMMITS: others, separated by commas), so that a record, a message or a table that
this tree reads in another way is found by itself.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import PROJECT, Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "git", "docker-client"), pytest.mark.crash]

COMMITS = os.environ.get("COMMITS", "67e6bf2,3180913").split(",")
"""Before links other than veth, whose records are migrated; with user namespaces."""
TALK = "i=0; trap 'exit 7' TERM; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"
RUNNING = ("talker", "served", "paused", "kept")


@pytest.fixture(params=COMMITS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Sampan, Path]]:
    """An engine whose daemon is of an older commit, and where that commit's source lies."""
    packed = subprocess.run(
        ["git", "archive", request.param, "src"], cwd=PROJECT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path)
    with running_sampan(within=("env", f"PYTHONPATH={tmp_path / 'src'}")) as engine:
        assert is_of(engine, tmp_path)
        engine.load_busybox()
        yield engine, tmp_path


def is_of(engine: Sampan, tree: Path) -> bool:
    """Whether the daemon reads the package from `tree`."""
    assert engine.process is not None
    environment = Path(f"/proc/{engine.process.pid}/environ").read_bytes().split(b"\0")
    return f"PYTHONPATH={tree / 'src'}".encode() in environment


def inspected(engine: Sampan, name: str) -> dict[str, dict[str, object]]:
    found = engine.api("GET", f"/containers/{name}/json").json()
    assert isinstance(found, dict)
    return found


def last_line(engine: Sampan, name: str) -> int:
    text = engine.docker("logs", "--tail", "1", name).text
    return int(text.split()[-1]) if text else 0


def populate(engine: Sampan) -> None:
    """Containers, a volume, a network and an image, by the older daemon."""
    docker = engine.docker
    layer = Layer()
    layer.file("made", b"made\n")
    built = docker_archive("built:latest", [busybox_rootfs(), layer.tar()], {"Env": [PATH]})
    assert docker("load", stdin=built).code == 0
    assert docker("volume", "create", "kept").code == 0
    assert docker("network", "create", "--subnet", "10.219.77.0/24", "ours").code == 0
    run = ("run", "-d", "--name")
    assert (
        docker(
            *run,
            "talker",
            "--restart",
            "always",
            "-v",
            "kept:/data",
            "busybox",
            "sh",
            "-c",
            f"echo kept > /data/x; {TALK}",
        ).code
        == 0
    )
    serve = "mkdir /www; echo page > /www/index.html; exec httpd -f -p 80 -h /www"
    assert docker(*run, "served", "--network", "ours", "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve).code == 0
    assert docker(*run, "paused", "busybox", "sh", "-c", TALK).code == 0
    assert docker("pause", "paused").code == 0
    assert docker(*run, "kept", "-it", "busybox", "sh").code == 0
    assert docker("run", "--name", "ended", "busybox", "sh", "-c", "exit 5").code == 5
    assert docker("create", "--name", "created", "built", "cat", "/made").code == 0


def page(engine: Sampan) -> str:
    address = engine.docker("port", "served", "80").text.splitlines()[0]
    return subprocess.run(
        ["busybox", "wget", "-qO-", f"http://{address}/"], check=False, capture_output=True, text=True, timeout=20
    ).stdout


@pytest.mark.parametrize("orderly", [True, False])
def test_a_newer_daemon_takes_over(older: tuple[Sampan, Path], orderly: bool) -> None:
    engine, tree = older
    populate(engine)
    eventually(lambda: page(engine) == "page\n")
    heard = tree / "heard"
    with heard.open("wb") as file:
        address = {**os.environ, "DOCKER_HOST": engine.host}
        follower = subprocess.Popen(["docker", "logs", "-f", "talker"], env=address, stdout=file)
    try:
        replaced(engine, tree, heard, orderly=orderly)
        follower.wait(60)
    finally:
        follower.kill()
        follower.wait()
    # To the end of that run, in one unbroken stream.
    lines = heard.read_text().splitlines()
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]


def replaced(engine: Sampan, tree: Path, heard: Path, *, orderly: bool) -> None:
    """The daemon is, while `heard` grows, and everything is as it was and can be done."""
    before = {name: inspected(engine, name) for name in RUNNING}
    eventually(lambda: b"\n" in heard.read_bytes())
    if orderly:
        engine.stop()
    else:
        engine.kill()
    before_that = len(heard.read_bytes())
    engine._within = ()
    engine.start()
    assert not is_of(engine, tree)
    for name in RUNNING:
        now = inspected(engine, name)
        for member in ("Id", "Name", "Created", "Mounts", "Image", "Path"):
            assert now[member] == before[name][member], (name, member)
        for member in ("Pid", "StartedAt", "Status", "ExitCode"):
            assert now["State"][member] == before[name]["State"][member], (name, member)
        assert now["NetworkSettings"]["Networks"] == before[name]["NetworkSettings"]["Networks"]
    goes_on(engine)
    everything_can_be_done(engine)
    assert len(heard.read_bytes()) > before_that
    checked = engine.sampan("system", "check")
    assert checked.code == 0, checked


def goes_on(engine: Sampan) -> None:
    """What runs answers, and its log grows."""
    said = last_line(engine, "talker")
    eventually(lambda: last_line(engine, "talker") > said + 3)
    assert engine.docker("exec", "talker", "cat", "/data/x").text == "kept"
    assert page(engine) == "page\n"
    assert engine.docker("stats", "--no-stream", "--format", "{{.Name}}", "talker").text == "talker"
    assert "httpd" in engine.docker("top", "served").text
    assert engine.docker("inspect", "-f", "{{.State.ExitCode}}", "ended").text == "5"


def everything_can_be_done(engine: Sampan) -> None:
    """By the newer daemon with what the older one made."""
    docker = engine.docker
    assert docker("unpause", "paused").code == 0
    assert docker("stop", "paused").code == 0
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "paused").text == "7"
    assert docker("start", "-a", "created").text == "made"
    named = docker("run", "--rm", "--network", "ours", "busybox", "wget", "-qO-", "http://served/")
    assert named.text == "page", named
    assert docker("network", "connect", "ours", "talker").code == 0
    assert docker("cp", "talker:/data/x", "-").code == 0
    assert docker("commit", "talker", "committed").code == 0
    assert docker("restart", "-t", "5", "served").code == 0
    eventually(lambda: page(engine) == "page\n")
    assert docker("stop", "talker").code == 0
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "talker").text == "7"
    assert docker("start", "talker").code == 0
    assert docker("rm", "-f", *RUNNING, "ended", "created").code == 0
    assert docker("network", "rm", "ours").code == 0
    assert docker("volume", "rm", "kept").code == 0
