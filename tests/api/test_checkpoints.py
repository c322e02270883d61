"""Checkpoints by the API: experimental mode, names, directories, and what a host says whose criu does not work.

Dumps and restores are in tests/vm/test_checkpoint.py, on a kernel that Debian's criu knows.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.scenes import Box
from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-client")

DISABLED = (
    "This experimental feature is disabled by default. "
    "Start the Docker daemon in experimental mode in order to enable it."
)
QUIET = {"NetworkMode": "none"}


@pytest.fixture(scope="module")
def experimental() -> Iterator[Sampan]:
    with running_sampan("--experimental") as daemon:
        daemon.load_busybox()
        yield daemon


@pytest.fixture(autouse=True)
def _containers_go(experimental: Sampan) -> Iterator[None]:
    yield
    experimental.remove_containers()


def sleeper(daemon: Sampan, name: str, **host: object) -> Box:
    return Box(daemon, "sleep", "1000", name=name, host={**QUIET, **host}).start()


def message(daemon: Sampan, method: str, path: str, status: int, body: object = None) -> str:
    answer = daemon.api(method, path, body)
    assert answer.status == status, answer.body
    return str(json.loads(answer.body)["message"])


def wanted(name: str, **more: object) -> dict[str, object]:
    return {"CheckpointID": name, "Exit": True, **more}


def checkpoints(daemon: Sampan, box: Box) -> Path:
    return daemon.data_root / "containers" / box.id / "checkpoints"


def why_criu_does_not_work() -> str:
    """What `criu check` complains of on this host; "" where nothing is wrong with it."""
    found = shutil.which("criu")
    if found is None:
        return 'exec: "criu": executable file not found in $PATH'
    done = subprocess.run([found, "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout.splitlines()[0].partition("): ")[2]


def test_outside_of_experimental_mode_the_routes_are_disabled(engine: Sampan) -> None:
    assert engine.api("GET", "/_ping").headers["docker-experimental"] == "false"
    assert message(engine, "POST", "/containers/any/checkpoints", 501, wanted("noon")) == DISABLED
    assert message(engine, "GET", "/containers/any/checkpoints", 501) == DISABLED
    assert message(engine, "DELETE", "/containers/any/checkpoints/noon", 501) == DISABLED
    assert engine.docker("info", "--format", "{{.ExperimentalBuild}}").text == "false"


def test_experimental_mode_is_shown(experimental: Sampan) -> None:
    for method in ("GET", "HEAD"):
        assert experimental.api(method, "/_ping").headers["docker-experimental"] == "true"
    assert experimental.docker("info", "--format", "{{.ExperimentalBuild}}").text == "true"
    assert experimental.docker("version", "--format", "{{.Server.Experimental}}").text == "true"


def test_a_criu_that_does_not_work_is_named_with_its_reason(experimental: Sampan) -> None:
    why = why_criu_does_not_work()
    if not why:
        pytest.skip("criu works on this host")
    box = sleeper(experimental, "web")
    said = message(experimental, "POST", "/containers/web/checkpoints", 500, wanted("noon"))
    assert said.startswith("Cannot checkpoint container web: ")
    assert said.endswith(why)
    refused = experimental.docker("checkpoint", "create", "web", "noon")
    assert refused.code == 1
    assert refused.err.decode().startswith("Error response from daemon: Cannot checkpoint container web: ")
    assert box.state()["Status"] == "running"
    assert experimental.api("GET", "/containers/web/checkpoints").json() is None
    box.run("true")
    # A restore says so too, and leaves the container as it was.
    experimental.docker("kill", "web")
    (checkpoints(experimental, box) / "noon").mkdir(parents=True)
    said = message(experimental, "POST", "/containers/web/start?checkpoint=noon", 500)
    assert said.startswith("Cannot restore container web: ")
    assert said.endswith(why)
    assert box.state()["Status"] == "exited"
    assert experimental.api("POST", "/containers/web/start").status == 204


@pytest.mark.parametrize("name", ["", "x", "../up", "a/b", ".hidden", "a b", "x" * 300])
def test_names_that_are_refused(experimental: Sampan, name: str) -> None:
    sleeper(experimental, "web")
    said = message(experimental, "POST", "/containers/web/checkpoints", 500, wanted(name))
    assert said == f"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_containers_that_have_nothing_to_write_down(experimental: Sampan) -> None:
    made = Box(experimental, "true", name="made", host=QUIET)
    said = message(experimental, "POST", "/containers/made/checkpoints", 409, wanted("noon"))
    assert said == f"container {made.id} is not running"
    held = sleeper(experimental, "held")
    experimental.docker("pause", "held")
    said = message(experimental, "POST", "/containers/held/checkpoints", 409, wanted("noon"))
    assert said == f"container {held.id} is paused, unpause it before it is checkpointed"
    for method, path in (("POST", ""), ("GET", ""), ("DELETE", "/noon")):
        body = wanted("noon") if method == "POST" else None
        said = message(experimental, method, f"/containers/nobody/checkpoints{path}", 404, body)
        assert said == "No such container: nobody"
    bad: tuple[object, ...] = ([], {"CheckpointID": 5}, {"Exit": "yes"}, "x")
    for one in bad:
        assert experimental.api("POST", "/containers/held/checkpoints", one).status == 400


def test_lists_and_removals(experimental: Sampan, tmp_path: Path) -> None:
    box = sleeper(experimental, "web")
    own = checkpoints(experimental, box)
    assert experimental.api("GET", "/containers/web/checkpoints").json() is None
    for name in ("noon", "dawn"):
        (own / name).mkdir(parents=True)
        (own / name / "pages.img").write_text("image")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("here")
    (own / "link").symlink_to(outside)
    (own / "file").write_text("")
    (own / f".{'0' * 24}").mkdir()
    assert experimental.api("GET", "/containers/web/checkpoints").json() == [{"Name": "dawn"}, {"Name": "noon"}]
    assert experimental.docker("checkpoint", "ls", "web").text.split() == ["CHECKPOINT", "NAME", "dawn", "noon"]
    assert experimental.docker("checkpoint", "rm", "web", "noon").code == 0
    assert message(experimental, "DELETE", "/containers/web/checkpoints/noon", 500) == (
        "checkpoint noon does not exist for container web"
    )
    for name in ("link", "file"):
        said = message(experimental, "DELETE", f"/containers/web/checkpoints/{name}", 500)
        assert said.endswith(f"/{name} exists and is not a directory")
    for name in ("..", "%2e%2e", "..%2f..%2fcontainers"):
        assert experimental.api("DELETE", f"/containers/web/checkpoints/{name}").status in (404, 500)
    assert (outside / "precious").exists()
    assert box.state()["Status"] == "running"
    # Another directory, which a link may lead to, as for the source of a bind.
    assert message(experimental, "GET", f"/containers/web/checkpoints?dir={tmp_path}/none", 500) == (
        "checkpoint  does not exist for container web"
    )
    (outside / "noon").mkdir()
    (tmp_path / "way").symlink_to(outside)
    found = experimental.api("GET", f"/containers/web/checkpoints?dir={tmp_path}/way")
    assert found.json() == [{"Name": "noon"}]
    assert experimental.api("DELETE", f"/containers/web/checkpoints/noon?dir={tmp_path}/way").status == 204
    assert os_names(outside) == ["precious"]
    assert experimental.api("GET", "/containers/web/checkpoints?dir=relative").status == 400


def os_names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_starts_from_what_is_not_there(experimental: Sampan, tmp_path: Path) -> None:
    box = Box(experimental, "true", name="made", host=QUIET)
    said = message(experimental, "POST", "/containers/made/start?checkpoint=noon", 500)
    assert said == "checkpoint noon does not exist for container made"
    said = message(experimental, "POST", "/containers/made/start?checkpoint=../../x", 500)
    assert said.startswith("Invalid checkpoint ID (../../x)")
    for query in (f"checkpoint=noon&checkpoint-dir={tmp_path}", f"checkpoint-dir={tmp_path}"):
        said = message(experimental, "POST", f"/containers/made/start?{query}", 403)
        assert said == "custom checkpointdir is not supported"
    assert box.state()["Status"] == "created"
    (checkpoints(experimental, box) / "noon").mkdir(parents=True)
    (checkpoints(experimental, box) / "noon/inventory.img").symlink_to("/etc/passwd")
    said = message(experimental, "POST", "/containers/made/start?checkpoint=noon", 500)
    assert said == "checkpoint noon is damaged: inventory.img in it is no regular file"


def test_the_sampan_command(experimental: Sampan) -> None:
    box = sleeper(experimental, "web")
    (checkpoints(experimental, box) / "noon").mkdir(parents=True)
    assert experimental.sampan("checkpoint", "ls", "web").text.split() == ["CHECKPOINT", "NAME", "noon"]
    assert experimental.sampan("checkpoint", "rm", "web", "noon").code == 0
    assert experimental.sampan("checkpoint", "ls", "web").text.split() == ["CHECKPOINT", "NAME"]
    refused = experimental.sampan("start", "--checkpoint", "noon", "web", "other")
    assert (refused.code, refused.err) == (1, b"you cannot restore multiple containers at once\n")
    refused = experimental.sampan("start", "--checkpoint", "noon", "--checkpoint-dir", "/tmp", "web")
    assert b"custom checkpointdir is not supported" in refused.err


def test_checkpoints_go_with_their_container(experimental: Sampan) -> None:
    box = sleeper(experimental, "web")
    (checkpoints(experimental, box) / "noon").mkdir(parents=True)
    experimental.docker("rm", "-f", "web")
    assert not checkpoints(experimental, box).exists()
