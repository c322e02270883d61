"""A full disk, below the data root or the exec-root: what cannot be is refused in Docker's words, and nothing is lost."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.archives import Layer, docker_archive
from tests.daemons import Answer, Sampan
from tests.disks import Disk, sampan_on
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "losetup"), pytest.mark.crash]

NO_ROOM = b"no space left on device"
LARGE = 3 << 20
KINDS = {
    "containers": "/containers/{}/json",
    "images": "/images/{}/json",
    "volumes": "/volumes/{}",
    "networks": "/networks/{}",
}
Act = tuple[str, str, Callable[[], Answer]]


@pytest.fixture(scope="module", params=["ext4", "tmpfs"])
def on_disk(request: pytest.FixtureRequest) -> Iterator[tuple[Sampan, Disk]]:
    with sampan_on(request.param) as made:
        yield made


def started(engine: Sampan, name: str, script: str, **host: object) -> None:
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": {"NetworkMode": "none", **host}}
    assert engine.api("POST", f"/containers/create?name={name}", body).status == 201
    assert engine.api("POST", f"/containers/{name}/start").status == 204
    eventually((Path(f"/proc/{pid_of(engine, name)}/root/ready")).exists)


def acts(engine: Sampan, mark: str) -> Iterator[Act]:
    """Everything that makes something: its kind, its name, and how it is asked for."""
    layer = Layer()
    layer.file("large", os.urandom(LARGE))
    archive = docker_archive(f"loaded-{mark}:latest", [layer.tar()], {})
    context = Layer()
    context.file("Dockerfile", f"FROM busybox\nRUN echo {mark} > /x\nCOPY large /\n".encode())
    context.file("large", os.urandom(LARGE))
    created = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    network = {"Name": f"net-{mark}", "IPAM": {"Config": [{"Subnet": f"10.219.{len(mark)}.0/24"}]}}
    post = engine.api
    yield "images", f"loaded-{mark}", lambda: post("POST", "/images/load", archive)
    yield "volumes", f"vol-{mark}", lambda: post("POST", "/volumes/create", {"Name": f"vol-{mark}"})
    yield "networks", f"net-{mark}", lambda: post("POST", "/networks/create", network)
    yield "containers", f"con-{mark}", lambda: post("POST", f"/containers/create?name=con-{mark}", created)
    yield "images", f"com-{mark}", lambda: post("POST", f"/commit?container=writer&repo=com-{mark}", {})
    yield "images", f"built-{mark}", lambda: post("POST", f"/build?t=built-{mark}&networkmode=none", context.tar())
    yield "images", f"tag-{mark}", lambda: post("POST", f"/images/busybox/tag?repo=tag-{mark}")


def succeeded(answer: Answer) -> bool:
    return answer.status in (200, 201) and b"errorDetail" not in answer.body


def check(engine: Sampan) -> None:
    done = engine.sampan("system", "check")
    assert done.code == 0, done.text


@pytest.mark.parametrize("spare", [0, 64 << 10, 2 * LARGE])
def test_what_does_not_fit_is_refused_and_what_is_acknowledged_is_there(
    on_disk: tuple[Sampan, Disk], spare: int
) -> None:
    engine, disk = on_disk
    started(
        engine, "writer", f"head -c {LARGE} /dev/urandom > /data; touch /ready; while sleep 0.01; do echo line; done"
    )
    refused, known = 0, {}
    for kind, name, act in acts(engine, "x" * (1 + spare % 7)):
        disk.fill(spare)
        answer = act()
        known[kind, name] = succeeded(answer)
        if not succeeded(answer):
            assert NO_ROOM in answer.body, answer
            refused += 1
    assert refused > (4 if spare == 0 else 0)
    assert engine.inside("writer", "echo", "goes on").text == "goes on"
    disk.empty()
    there = {one: engine.api("GET", KINDS[one[0]].format(one[1])).status == 200 for one in known}
    assert there == known
    names = {entry.name for entry in (disk.place / "volumes").iterdir()}
    assert names == {name for (kind, name), here in known.items() if here and kind == "volumes"}
    check(engine)
    # And without a restart everything can be had now.
    clean_up(engine, [one for one, here in known.items() if here])
    made = []
    for kind, name, act in acts(engine, "y" * (1 + spare % 7)):
        assert succeeded(act()), (kind, name)
        made.append((kind, name))
    clean_up(engine, [*made, ("containers", "writer")])


def clean_up(engine: Sampan, made: Sequence[tuple[str, str]]) -> None:
    for kind, name in made:
        assert engine.api("DELETE", f"/{kind}/{name}?force=1").status in (200, 204), (kind, name)
    assert engine.api("POST", "/build/prune?all=1").status == 200
    eventually(engine.has_no_trash)


def test_on_a_full_disk_containers_end_and_are_removed(on_disk: tuple[Sampan, Disk]) -> None:
    """Room is made by removing: that must be possible where there is none, also for a daemon that was killed meanwhile."""
    engine, disk = on_disk
    script = "trap 'exit 7' TERM; touch /ready; while :; do sleep 0.05; done"
    for name in ("ends", "unseen"):
        started(engine, name, script)
    started(engine, "goes", script, AutoRemove=True)
    assert engine.api("POST", "/volumes/create", {"Name": "old"}).status == 201
    disk.fill()
    assert NO_ROOM in engine.api("POST", "/volumes/create", {"Name": "new"}).body
    for name in ("ends", "goes"):
        assert engine.api("POST", f"/containers/{name}/kill?signal=TERM").status == 204
    waited = engine.api("POST", "/containers/ends/wait").json()
    assert isinstance(waited, dict)
    assert waited["StatusCode"] == 7
    eventually(lambda: engine.api("GET", "/containers/goes/json").status == 404)
    end = Path(f"/proc/{pid_of(engine, 'unseen')}")
    engine.kill()
    os.kill(int(end.name), 15)
    eventually(lambda: not end.exists())
    engine.start()
    assert exit_code(engine, "unseen") == 7
    assert exit_code(engine, "ends") == 7
    for path in ("/containers/ends", "/containers/unseen", "/volumes/old"):
        assert engine.api("DELETE", path).status == 204, path
    disk.empty()
    check(engine)
    assert engine.api("POST", "/volumes/create", {"Name": "new"}).status == 201
    clean_up(engine, [("volumes", "new")])


def test_an_exit_is_recorded_in_a_full_exec_root() -> None:
    """Nobody hears the end: it must stand in the record of the run, which is in a file system without a free page."""
    with sampan_on("tmpfs", exec_root=True) as (engine, disk):
        started(engine, "ends", "trap 'exit 7' TERM; touch /ready; while :; do sleep 0.05; done")
        end = Path(f"/proc/{pid_of(engine, 'ends')}")
        disk.fill()
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        assert engine.api("POST", "/containers/create?name=other", body).status == 201
        refused = engine.api("POST", "/containers/other/start")
        assert refused.status == 500
        assert NO_ROOM in refused.body, refused
        engine.kill()
        os.kill(int(end.name), 15)
        eventually(lambda: not end.exists())
        disk.empty()
        engine.start()
        assert exit_code(engine, "ends") == 7
        assert engine.api("POST", "/containers/other/start").status == 204


def pid_of(engine: Sampan, name: str) -> int:
    return int(inspected(engine, name)["Pid"])


def exit_code(engine: Sampan, name: str) -> int:
    state = inspected(engine, name)
    assert state["Status"] == "exited", state
    return int(state["ExitCode"])


def inspected(engine: Sampan, name: str) -> dict[str, str]:
    body = engine.api("GET", f"/containers/{name}/json").json()
    assert isinstance(body, dict), body
    found: dict[str, str] = body["State"]
    return found
