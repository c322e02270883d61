"""Processes without descriptors, a daemon without memory: requests fail, nothing is lost, and with means all is well again."""

import os
import resource
from collections.abc import Callable, Iterator

import pytest

from tests import processes
from tests.archives import Layer, docker_archive
from tests.daemons import Answer, Sampan, running_sampan
from tests.requires import requires
from tests.squeezing import asked, limited, squeezed
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "busybox"), pytest.mark.crash]

KINDS = {"containers": "/containers/{}/json", "images": "/images/{}/json", "volumes": "/volumes/{}"}
PATIENCE = 30.0


@pytest.fixture(scope="module")
def short_engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        assert started.api("POST", "/containers/create?name=goes", body).status == 201
        assert started.api("POST", "/containers/goes/start").status == 204
        yield started


def descriptors(pid: int) -> int:
    """One more than the highest that is open."""
    return 1 + max(processes.descriptors(pid))


def acts(engine: Sampan, mark: str) -> Iterator[tuple[str, str, Callable[[], Answer]]]:
    layer = Layer()
    layer.file("large", os.urandom(1 << 20))
    archive = docker_archive(f"loaded-{mark}:latest", [layer.tar()], {})
    context = Layer()
    context.file("Dockerfile", f"FROM busybox\nRUN echo {mark} > /x\n".encode())
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}

    def post(path: str, content: object = None) -> Answer:
        return engine.api("POST", path, content, timeout=PATIENCE)

    yield "images", f"loaded-{mark}", lambda: post("/images/load", archive)
    yield "volumes", f"vol-{mark}", lambda: post("/volumes/create", {"Name": f"vol-{mark}"})
    yield "containers", f"con-{mark}", lambda: post(f"/containers/create?name=con-{mark}", body)
    yield "", "", lambda: post(f"/containers/con-{mark}/start")
    yield "images", f"com-{mark}", lambda: post(f"/commit?container=goes&repo=com-{mark}", {})
    yield "images", f"built-{mark}", lambda: post(f"/build?t=built-{mark}&networkmode=none", context.tar())
    yield "images", f"tag-{mark}", lambda: post(f"/images/busybox/tag?repo=tag-{mark}")


def succeeded(answer: Answer) -> bool:
    return answer.status in (200, 201, 204) and b"errorDetail" not in answer.body


def all_is_well(engine: Sampan, mark: str, known: dict[tuple[str, str], bool]) -> None:
    """What was acknowledged is there and nothing else, nothing is left of the rest, and everything can be had."""
    there = {one: engine.api("GET", KINDS[one[0]].format(one[1])).status == 200 for one in known}
    assert {one for one, here in known.items() if here} <= {one for one, here in there.items() if here}
    assert engine.inside("goes", "echo", "goes on").text == "goes on"
    for kind, name, act in acts(engine, mark):
        answer = act()
        assert succeeded(answer), (kind, name, answer)
    for (kind, name), here in there.items():
        if here:
            assert engine.api("DELETE", f"/{kind}/{name}?force=1").status in (200, 204), (kind, name)
    eventually(engine.has_no_trash)
    checked = engine.sampan("system", "check")
    assert checked.code == 0, checked


@pytest.mark.parametrize(("who", "spare"), [("daemon", 3), ("daemon", 9), ("launcher", 3), ("monitor", 3)])
def test_out_of_descriptors(short_engine: Sampan, who: str, spare: int) -> None:
    engine = short_engine
    assert engine.process is not None
    below = str(engine.directory)
    if who == "daemon":
        pid = engine.process.pid
    else:
        pid = (processes.launchers if who == "launcher" else processes.monitors)(below)[0].pid
    known = {}
    with limited(pid, resource.RLIMIT_NOFILE, descriptors(pid) + spare):
        for kind, name, act in acts(engine, f"{who}-{spare}"):
            answer = act()
            if kind:
                known[kind, name] = succeeded(answer)
            if not succeeded(answer):
                assert b"message" in answer.body, answer
    all_is_well(engine, f"{who}-{spare}-later", known)


@pytest.mark.parametrize("spare", [0, 1 << 20])
def test_out_of_memory(short_engine: Sampan, spare: int) -> None:
    """A daemon that gets no more serves on or ends, as one that the kernel kills would; the next one finds everything."""
    engine = short_engine
    known = {}
    all_done = True
    with squeezed(engine, spare):
        for kind, name, act in acts(engine, f"memory-{spare}"):
            answer = asked(engine, act)
            if answer is None:
                all_done = False
                break
            all_done = all_done and succeeded(answer)
            if kind:
                known[kind, name] = succeeded(answer)
    assert spare or not all_done
    all_is_well(engine, f"memory-{spare}-later", known)
