"""Every crash point: a process ends there, the next daemon makes up for it, and nothing half-made stays.

What was acknowledged is there afterwards; what was not is there wholly or not at all.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from sampan.crashpoints import POINTS, VARIABLE
from tests import leaks
from tests.api.building import build, context, half_made
from tests.api.scenes import Box, Stream, lives
from tests.archives import Layer, busybox_rootfs, docker_archive
from tests.daemons import Answer, Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "docker-client", "busybox")

FOREVER = ("sleep", "1000")
ANONYMOUS = {"Mounts": [{"Type": "volume", "Target": "/data"}]}
COLD = {"NetworkMode": "host"}
"""A container that no parked slot fits."""


@dataclass
class Scene:
    """One test: `box` is made before the point is armed, `answers` came while it was; None stands for a cut connection."""

    engine: Sampan
    box: Box | None = None
    stream: Stream | None = None
    answer: Answer | None = None

    def ask(self, method: str, path: str, body: object = None) -> None:
        """A request during which the daemon may die."""
        try:
            self.answer = self.engine.api(method, path, body)
        except (OSError, http.client.HTTPException):
            self.answer = None

    def the_box(self) -> Box:
        """The container of this test."""
        assert self.box is not None
        return self.box

    def exists(self, path: str) -> bool:
        """Whether the next daemon knows it."""
        return self.engine.api("GET", path).status == 200


class Operation:
    """What is done to reach a point. `prepare` runs before it is armed, `act` while it is, `judge` under the next daemon."""

    prepare: Callable[[Scene], None]
    act: Callable[[Scene], None]
    judge: Callable[[Scene], None]
    daemon_dies = True
    armed_before = False
    """whether `prepare` passes none of its points, and may be done by the daemon that is armed already"""


def _volumes(scene: Scene) -> int:
    """How many volumes there are, in the records and on the disk."""
    listed = scene.engine.api("GET", "/volumes").json()
    assert isinstance(listed, dict)
    there = [entry.name for entry in (scene.engine.data_root / "volumes").iterdir()]
    assert sorted(volume["Name"] for volume in listed["Volumes"]) == sorted(there)
    return len(there)


class Create(Operation):
    """Unacknowledged, so it may be there or not; `kept` says which the point's place demands."""

    armed_before = True

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept

    def prepare(self, scene: Scene) -> None:
        pass

    def act(self, scene: Scene) -> None:
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": ANONYMOUS}
        scene.ask("POST", "/containers/create?name=half", body)
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        assert scene.exists("/containers/half/json") == self.kept
        assert _volumes(scene) == int(self.kept)
        if self.kept:
            assert scene.engine.api("POST", "/containers/half/start").status == 204
        else:
            again = scene.engine.api("POST", "/containers/create?name=half", {"Image": "busybox"})
            assert again.status == 201


class Start(Operation):
    """`runs`: whether the program must run under the next daemon (True), must not (False), or either (None)."""

    armed_before = True

    def __init__(self, *, runs: bool | None, daemon_dies: bool = True, cold: bool = False) -> None:
        self.runs, self.daemon_dies, self.cold = runs, daemon_dies, cold

    def prepare(self, scene: Scene) -> None:
        scene.box = Box(scene.engine, *FOREVER, host=COLD if self.cold else {})

    def act(self, scene: Scene) -> None:
        scene.ask("POST", f"/containers/{scene.the_box().id}/start")
        assert scene.answer is None if self.daemon_dies else scene.answer is not None

    def judge(self, scene: Scene) -> None:
        box = scene.the_box()
        state = box.state()
        if state["Running"]:
            assert self.runs is not False
            assert lives(state["Pid"])
            assert box.run("echo", "fine") == "fine"
        else:
            assert not self.runs
            box.start()
            assert box.run("echo", "fine") == "fine"


class FailedStart(Start):
    """The launcher or monitor dies: the start is answered for with an error, and the container can be started later."""

    armed_before = False

    def __init__(self, *, cold: bool = False) -> None:
        super().__init__(runs=False, daemon_dies=False, cold=cold)

    def act(self, scene: Scene) -> None:
        super().act(scene)
        assert scene.answer is not None
        assert scene.answer.status == 500, scene.answer
        assert not scene.the_box().state()["Running"]


class CutRun(Start):
    """The start was acknowledged, and the program died with its builder."""

    armed_before = False

    def __init__(self) -> None:
        super().__init__(runs=False, daemon_dies=False)

    def act(self, scene: Scene) -> None:
        super().act(scene)
        scene.the_box().ended(137)


class Exit(Operation):
    """A program ends with 42; that is what must be shown, whoever died over it."""

    def __init__(self, *, daemon_dies: bool = True) -> None:
        self.daemon_dies = daemon_dies

    def prepare(self, scene: Scene) -> None:
        scene.box = Box(scene.engine, "sh", "-c", "read x; exit 42", OpenStdin=True)
        if self.daemon_dies:
            scene.stream = scene.box.attach()
            scene.box.start()

    def act(self, scene: Scene) -> None:
        if scene.stream is None:
            scene.stream = scene.the_box().attach()
            scene.the_box().start()
        scene.stream.say(b"go\n")
        scene.stream.expect_end()
        if not self.daemon_dies:
            scene.the_box().ended(42)

    def judge(self, scene: Scene) -> None:
        scene.the_box().ended(42)
        record = scene.engine.exec_root / "containers" / scene.the_box().id
        eventually(lambda: not record.exists(), "the exit record stays")


class LostGroups(Exit):
    """The end was told, and nobody is left to remove the groups but the daemon: at once, and before the next run's stand."""

    def __init__(self) -> None:
        super().__init__(daemon_dies=False)

    def act(self, scene: Scene) -> None:
        super().act(scene)
        box = scene.the_box()
        eventually(lambda: leaks.groups_called(box.id) == [], "its control groups stay")
        scene.stream = None
        super().act(scene)


class Remove(Operation):
    """Removal of a container; `done`: the point stands behind the commit."""

    armed_before = True

    def __init__(self, *, done: bool) -> None:
        self.done = done

    def prepare(self, scene: Scene) -> None:
        scene.box = Box(scene.engine, "touch", "/mark", host=ANONYMOUS).start()
        scene.box.ended(0)

    def act(self, scene: Scene) -> None:
        scene.ask("DELETE", f"/containers/{scene.the_box().id}?v=1")
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        path = f"/containers/{scene.the_box().id}"
        assert scene.exists(f"{path}/json") != self.done
        assert _volumes(scene) == int(not self.done)
        if not self.done:
            assert scene.engine.api("DELETE", f"{path}?v=1").status == 204
            assert _volumes(scene) == 0


class Rename(Operation):
    """The new name is durable and the old one is free."""

    armed_before = True

    def prepare(self, scene: Scene) -> None:
        scene.box = Box(scene.engine, "true", name="old")

    def act(self, scene: Scene) -> None:
        scene.ask("POST", "/containers/old/rename?name=new")
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        assert scene.the_box().inspect()["Name"] == "/new"
        assert not scene.exists("/containers/old/json")


class Exec(Operation):
    """The container goes on, and nothing of the exec stays when it has ended."""

    armed_before = True

    def prepare(self, scene: Scene) -> None:
        scene.box = Box(scene.engine, *FOREVER).start()

    def act(self, scene: Scene) -> None:
        made = scene.engine.api("POST", f"/containers/{scene.the_box().id}/exec", {"Cmd": ["sleep", "0.2"]})
        scene.ask("POST", f"/exec/{json.loads(made.body)['Id']}/start", {"Detach": True})
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        assert scene.the_box().run("echo", "fine") == "fine"
        directory = scene.engine.exec_root / "execs"
        eventually(lambda: not list(directory.iterdir()), "the exec's record stays")


class Load(Operation):
    """An image of a layer of its own, by `docker load` or `docker import`."""

    armed_before = True

    def __init__(self, *, named: bool, by_import: bool = False) -> None:
        self.named, self.by_import = named, by_import

    def prepare(self, scene: Scene) -> None:
        scene.engine.api("DELETE", "/images/other?force=1")

    def act(self, scene: Scene) -> None:
        self._send(scene)
        assert scene.answer is None

    def _send(self, scene: Scene) -> None:
        more = Layer()
        more.file("more", b"of this")
        if self.by_import:
            scene.ask("POST", "/images/create?fromSrc=-&repo=other&tag=latest", more.tar())
        else:
            archive = docker_archive("other:latest", [busybox_rootfs(), more.tar()], {"Cmd": ["cat", "/more"]})
            scene.ask("POST", "/images/load", archive)

    def judge(self, scene: Scene) -> None:
        assert scene.exists("/images/other:latest/json") == self.named
        if not self.named:
            self._send(scene)
            assert scene.answer is not None
            assert scene.answer.status == 200, scene.answer
        if not self.by_import:
            assert scene.engine.docker("run", "--rm", "other").text == "of this"
        assert scene.engine.api("DELETE", "/images/other:latest").status == 200


class Build(Operation):
    """An image of one step. The step is kept or made anew: the same comes of it."""

    TEXT = "FROM busybox\nRUN echo built > /built\n"

    armed_before = True

    def __init__(self, *, named: bool) -> None:
        self.named = named

    def prepare(self, scene: Scene) -> None:
        scene.engine.api("DELETE", "/images/other?force=1")
        assert scene.engine.api("POST", "/build/prune?all=1").status == 200

    def act(self, scene: Scene) -> None:
        scene.ask("POST", "/build?t=other", context({"Dockerfile": self.TEXT}))
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        assert scene.exists("/images/other:latest/json") == self.named
        assert half_made(scene.engine) == []
        assert build(scene.engine, self.TEXT, t="other").error == ""
        assert scene.engine.docker("run", "--rm", "other", "cat", "/built").text == "built"
        checked = scene.engine.sampan("system", "check")
        assert checked.code == 0, checked
        assert scene.engine.api("DELETE", "/images/other:latest").status == 200


class PruneBuilds(Operation):
    """The record is gone, and what only it needed is the next daemon's to delete."""

    def prepare(self, scene: Scene) -> None:
        assert build(scene.engine, Build.TEXT, t="other").error == ""
        assert scene.engine.api("DELETE", "/images/other:latest").status == 200

    def act(self, scene: Scene) -> None:
        scene.ask("POST", "/build/prune?all=1")
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        checked = scene.engine.sampan("system", "check")
        assert checked.code == 0, checked
        assert scene.engine.api("POST", "/build/prune?all=1").status == 200
        assert "Using cache" not in build(scene.engine, Build.TEXT, t="other").text
        assert scene.engine.api("DELETE", "/images/other:latest").status == 200
        assert scene.engine.api("POST", "/build/prune?all=1").status == 200


def _blobs(scene: Scene) -> set[str]:
    """What the content store has."""
    return {path.name for path in (scene.engine.data_root / "content/blobs/sha256").iterdir()}


class RemoveImage(Operation):
    """Name and record go together; blobs and layers are the next daemon's to delete."""

    def __init__(self, *, done: bool = True) -> None:
        self.done = done
        self.image = ""
        self.before: set[str] = set()

    def prepare(self, scene: Scene) -> None:
        self.before = _blobs(scene)
        more = Layer()
        more.file("more", b"of this")
        archive = docker_archive("other:latest", [busybox_rootfs(), more.tar()], {"Cmd": ["cat", "/more"]})
        assert scene.engine.api("POST", "/images/load", archive).status == 200
        self.image = json.loads(scene.engine.api("GET", "/images/other:latest/json").body)["Id"]

    def act(self, scene: Scene) -> None:
        scene.ask("DELETE", "/images/other:latest")
        assert scene.answer is None

    def judge(self, scene: Scene) -> None:
        engine = scene.engine
        for name in ("other:latest", self.image):
            assert scene.exists(f"/images/{name}/json") != self.done, name
        checked = engine.sampan("system", "check")
        assert checked.code == 0, checked
        if not self.done:
            assert engine.docker("run", "--rm", "other").text == "of this"
            assert engine.api("DELETE", "/images/other:latest").status == 200
        assert _blobs(scene) == self.before
        trashes = [engine.data_root / "trash", engine.data_root / "content/trash"]
        eventually(lambda: not any(any(trash.iterdir()) for trash in trashes), "the trash is not emptied")


CASES: list[tuple[str, Operation]] = [
    ("state-before-commit", Create(kept=False)),
    ("state-after-commit", Create(kept=False)),
    ("create-after-layer", Create(kept=False)),
    ("create-after-commit", Create(kept=True)),
    ("start-before-request", Start(runs=False)),
    ("start-after-request", Start(runs=None)),
    ("start-after-commit", Start(runs=True)),
    ("exit-before-commit", Exit()),
    ("exit-after-commit", Exit()),
    ("remove-after-mark", Remove(done=False)),
    ("remove-before-commit", Remove(done=False)),
    ("remove-after-commit", Remove(done=True)),
    ("rename-after-commit", Rename()),
    ("exec-after-request", Exec()),
    ("layer-before-publish", Load(named=False)),
    ("layer-after-publish", Load(named=False)),
    ("image-before-commit", Load(named=False)),
    ("image-after-commit", Load(named=True)),
    ("layer-before-publish", Load(named=False, by_import=True)),
    ("image-before-commit", Load(named=False, by_import=True)),
    ("image-after-commit", Load(named=True, by_import=True)),
    ("state-before-commit", RemoveImage(done=False)),
    ("state-after-commit", RemoveImage()),
    ("layer-before-publish", Build(named=False)),
    ("layer-after-publish", Build(named=False)),
    ("image-before-commit", Build(named=False)),
    ("image-after-commit", Build(named=True)),
    ("build-before-commit", Build(named=True)),
    ("build-after-commit", Build(named=True)),
    ("build-after-removal", PruneBuilds()),
    ("image-after-removal", RemoveImage()),
    ("image-after-blobs", RemoveImage()),
    ("image-after-layers", RemoveImage()),
    ("launcher-before-fork", FailedStart()),
    ("launcher-after-fork", FailedStart()),
    ("monitor-after-clone", FailedStart(cold=True)),
    ("monitor-after-mount", FailedStart()),
    ("monitor-after-mount", FailedStart(cold=True)),
    ("monitor-after-record", FailedStart()),
    ("monitor-after-record", FailedStart(cold=True)),
    ("monitor-after-started", CutRun()),
    ("monitor-after-exit-record", Exit(daemon_dies=False)),
    ("monitor-after-exit-told", LostGroups()),
]


def test_every_point_has_a_case() -> None:
    # tests/api: test_network_crashes.py, test_managed_plugins.py, test_network_plugins.py
    elsewhere = ("network-", "relink-", "plugin-", "remote-")
    assert {point for point, _ in CASES} == {point for point in POINTS if not point.startswith(elsewhere)}


@pytest.fixture
def scene(engine: Sampan) -> Iterator[Scene]:
    """Containers and all else are gone afterwards; the daemon is stopped where the test has come to its end."""
    made = Scene(engine)
    yield made
    while Stream.opened:
        Stream.opened.pop().close()
    if engine.process is not None:
        if engine.process.poll() is not None:
            engine.start()
        engine.remove_containers()


def restart(engine: Sampan) -> None:
    """Another daemon, where one still runs by its death: containers go on."""
    if engine.process is not None and engine.process.poll() is None:
        engine.kill()
    engine.start()


def start_armed(engine: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = engine.command()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "command", lambda: ["env", f"{VARIABLE}={point}", *plain])
        restart(engine)


@pytest.mark.parametrize(
    ("point", "operation"),
    CASES,
    ids=[f"{point}-{type(operation).__name__}-{n}" for n, (point, operation) in enumerate(CASES)],
)
def test_crash(scene: Scene, point: str, operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = scene.engine
    if operation.armed_before:
        start_armed(engine, point, monkeypatch)
        operation.prepare(scene)
    else:
        if engine.process is None:
            engine.start()
        operation.prepare(scene)
        start_armed(engine, point, monkeypatch)
    process = engine.process
    assert process is not None
    operation.act(scene)
    if operation.daemon_dies:
        assert process.wait(15) == -9
    else:
        assert process.poll() is None
    restart(engine)
    operation.judge(scene)
    goes_on(engine)
    assert_only_what_is_known(engine)
    engine.remove_containers()
    engine.stop()
    nothing = leaks.Snapshot(frozenset())
    assert leaks.settled(lambda: leaks.marked(engine.instance, str(engine.directory)), nothing, 5) == []


def goes_on(engine: Sampan) -> None:
    """What is new runs."""
    box = Box(engine, "sh", "-c", "exit 9").start()
    box.ended(9)
    box.remove()


def assert_only_what_is_known(engine: Sampan) -> None:
    """No directory and no writable layer belongs to a container that the daemon does not know."""
    known = {one["Id"] for one in json.loads(engine.api("GET", "/containers/json?all=1").body)}
    for kind in ("containers", "rw"):
        # Spare layers are nobody's yet; the stopped engine leaves none.
        found = {entry.name for entry in (engine.data_root / kind).iterdir() if not entry.name.startswith(".spare-")}
        assert found <= known, f"{kind} of nobody: {found - known}"
