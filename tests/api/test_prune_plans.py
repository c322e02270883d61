"""`prune --plan` says what would go, and carrying it out takes exactly that."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.building import Built, build
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    for words in (("builder", "prune", "-af"), ("volume", "prune", "-af"), ("network", "prune", "-f")):
        assert engine.sampan(*words).code == 0
    for name in engine.docker("images", "-q", "--filter", "dangling=true").text.split():
        engine.docker("rmi", "-f", name)
    engine.docker("rmi", "-f", "base:1", "above:1", "kept:1", "built:1")


def plan(engine: Sampan, **wanted: object) -> dict[str, object]:
    answer = engine.api("POST", "/sampan/prune-plan", wanted)
    assert answer.status == 200, answer.body
    found = answer.json()
    assert isinstance(found, dict)
    return found


def carry_out(engine: Sampan, made: dict[str, object]) -> dict[str, object]:
    answer = engine.api("POST", f"/sampan/prune?plan={made['Id']}")
    assert answer.status == 200, answer.body
    found = answer.json()
    assert isinstance(found, dict)
    return found


def scene(engine: Sampan, tmp_path: Path) -> None:
    """Images that share layers with each other and with the build cache, containers on them, volumes and networks."""

    def run(*words: str) -> str:
        done = engine.docker(*words)
        assert done.code == 0, (words, done.err)
        return done.text

    engine.load_busybox()  # a prune took it
    run("run", "--name", "writer", "--net", "none", "busybox", "sh", "-c", "head -c 70000 /dev/zero > /f")
    run("commit", "writer", "base:1")
    run("run", "--name", "second", "--net", "none", "base:1", "sh", "-c", "head -c 30000 /dev/zero > /g")
    run("commit", "second", "above:1")
    run("tag", "above:1", "above:2")
    run("create", "--name", "user", "-v", "named:/v", "-v", "/anonymous", "busybox")
    run("run", "--rm", "--net", "none", "-v", "named:/v", "busybox", "sh", "-c", "head -c 4000 /dev/zero > /v/f")
    run("network", "create", "empty")
    (tmp_path / "Dockerfile").write_text(
        "FROM base:1\nRUN head -c 11000 /dev/zero > /h\nRUN head -c 500 /dev/zero > /i\n"
    )
    built = engine.sampan("build", "-q", "-t", "built:1", str(tmp_path))
    assert built.code == 0, built.err


EVERYTHING = {
    "Containers": {},
    "Networks": {},
    "Volumes": {"all": ["true"]},
    "Images": {"dangling": ["false"]},
    "BuildCache": {"All": True},
}


def test_everything(engine: Sampan, tmp_path: Path) -> None:
    scene(engine, tmp_path)
    made = plan(engine, **EVERYTHING)
    kinds = [item["Kind"] for item in made["Items"]]  # type: ignore[attr-defined]
    assert set(kinds) == {"container", "network", "volume", "image", "build-cache"}
    assert made == {**plan(engine, **EVERYTHING), "Id": made["Id"], "Expires": made["Expires"]}, (
        "a plan changes nothing"
    )
    report = carry_out(engine, made)
    assert report["Kept"] == []
    assert report["Removed"] == made["Items"]
    assert report["SpaceReclaimed"] == made["Size"]
    assert int(str(made["Size"])) >= 70000 + 30000 + 11000 + 500 + 4000
    assert engine.docker("ps", "-aq").text == ""
    assert engine.docker("volume", "ls", "-q").text == ""
    again = plan(engine, **EVERYTHING)
    assert (again["Items"], again["Size"]) == ([], 0)
    assert engine.api("POST", f"/sampan/prune?plan={made['Id']}").status == 404, "a plan serves once"


def on_disk(engine: Sampan) -> int:
    """Bytes of the files and links of blobs, layers, containers and volumes, each inode once, as they lie below the data root."""
    found: dict[int, int] = {}
    for kind in ("content/blobs", "layers/overlay", "rw", "volumes"):
        for directory, _, names in os.walk(engine.data_root / kind):
            for name in names:
                status = os.lstat(os.path.join(directory, name))
                # What a layer or a volume holds, and not what the engine notes beside it.
                inside = {"blobs", "diff", "upper", "_data"} & set(Path(directory).parts)
                if inside and not stat.S_ISDIR(status.st_mode):
                    found[status.st_ino] = status.st_size
    return sum(found.values())


def test_what_a_plan_says_is_what_the_disk_gets_back(engine: Sampan, tmp_path: Path) -> None:
    """Layers that several have in common are given back once, by whatever goes last."""
    scene(engine, tmp_path)
    wishes: tuple[dict[str, object], ...] = (
        {"Containers": {}},
        {"Images": {"dangling": ["false"]}},
        {"BuildCache": {"All": True}},
        {"Volumes": {"all": ["true"]}},
        {"Images": {"dangling": ["false"]}},
    )
    for wanted in wishes:
        made = plan(engine, **wanted)
        before = on_disk(engine)
        report = carry_out(engine, made)
        assert (report["Removed"], report["Kept"]) == (made["Items"], []), wanted
        eventually(engine.has_no_trash)
        assert before - on_disk(engine) == made["Size"], (wanted, made)


def test_a_plan_from_before_a_build_takes_nothing_from_it(engine: Sampan, tmp_path: Path) -> None:
    """It names what the build has found in the cache meanwhile, and the image that the build stands on."""
    scene(engine, tmp_path)
    assert engine.docker("rm", "-f", "writer", "second", "user").code == 0
    made = plan(engine, **EVERYTHING)
    named = {item["Id"] for item in made["Items"] if item["Kind"] in ("image", "build-cache")}  # type: ignore[attr-defined]
    text = (tmp_path / "Dockerfile").read_text() + (
        "RUN --mount=type=cache,id=flag,target=/flag touch /flag/began; until [ -e /flag/go ]; do sleep 0.05; done\n"
    )
    found: list[Built] = []
    running = threading.Thread(target=lambda: found.append(build(engine, text, t="meanwhile:1")))
    running.start()
    directories = engine.data_root / "build" / "mounts"
    eventually(lambda: any(directories.glob("*/began")))
    try:
        report = carry_out(engine, made)
    finally:
        (path,) = directories.glob("*/began")
        (path.parent / "go").touch()
        running.join()
    assert not found[0].error, found[0].lines[-1]
    kept = {item["Id"] for item in report["Kept"]}  # type: ignore[attr-defined]
    assert kept, report
    assert kept <= named
    seen = engine.docker("run", "--rm", "--net", "none", "meanwhile:1", "sh", "-c", "wc -c < /h; wc -c < /f")
    assert seen.text.split() == ["11000", "70000"]
    assert engine.docker("rmi", "-f", "meanwhile:1").code == 0


def test_what_came_into_use_stays_and_what_came_since_is_not_touched(engine: Sampan, tmp_path: Path) -> None:
    scene(engine, tmp_path)
    made = plan(engine, **EVERYTHING)
    assert engine.docker("start", "second").code == 0
    engine.docker("wait", "second")
    assert engine.docker("tag", "built:1", "kept:1").code == 0
    assert engine.docker("create", "--name", "new", "-v", "named:/v", "busybox").code == 0
    assert engine.docker("volume", "create", "since").code == 0
    report = carry_out(engine, made)
    kept = {(item["Kind"], *item["Names"]) for item in report["Kept"]}  # type: ignore[attr-defined]
    assert ("container", "second") in kept
    assert ("volume", "named") in kept
    assert ("image", "built:1") in kept
    assert ("image", "base:1") in kept, "a container stands on it"
    assert set(engine.docker("ps", "-a", "--format", "{{.Names}}").text.split()) == {"second", "new"}
    assert "since" in engine.docker("volume", "ls", "-q").text.split()
    assert engine.docker("run", "--rm", "--net", "none", "built:1", "ls", "/i").text == "/i"


def test_a_layer_that_only_a_container_keeps(engine: Sampan, tmp_path: Path) -> None:
    scene(engine, tmp_path)
    assert engine.sampan("builder", "prune", "-af").code == 0
    assert engine.docker("rmi", "-f", "built:1", "above:1", "above:2", "base:1").code == 0
    made = plan(engine, Containers={})
    sizes = [item["Size"] for item in made["Items"] if item["Kind"] == "layer"]  # type: ignore[attr-defined]
    assert sizes == [70000]
    assert carry_out(engine, made)["SpaceReclaimed"] == made["Size"]


def test_the_command(engine: Sampan, tmp_path: Path) -> None:
    scene(engine, tmp_path)
    shown = engine.sampan("system", "prune", "-a", "--volumes", "--plan")
    assert shown.code == 0, shown.err
    assert "container" in shown.text
    identity = shown.text.rsplit(" ", 1)[1]
    done = engine.sampan("system", "prune", "--carry-out", identity)
    given = next(line for line in shown.text.splitlines() if line.startswith("Would give back: "))
    assert done.text.splitlines()[-1] == given.replace("Would give back", "Total reclaimed space")
    assert engine.docker("volume", "ls", "-q").text == "named"
    for words in (("container",), ("image", "-a"), ("volume", "-a"), ("network",), ("builder", "-a")):
        one = engine.sampan(words[0], "prune", *words[1:], "--plan")
        assert one.code == 0, one.err
    assert "no such prune plan" in engine.sampan("system", "prune", "--carry-out", "0" * 12).err.decode()


def test_system_prune_without_a_plan(engine: Sampan, tmp_path: Path) -> None:
    scene(engine, tmp_path)
    done = engine.sampan("system", "prune", "-af", "--volumes")
    assert done.code == 0, done.err
    assert "Deleted Networks:\nempty" in done.text
    left = plan(engine, **EVERYTHING)["Items"]
    assert [item["Names"] for item in left] == [["named"]]  # type: ignore[attr-defined]


def test_filters_are_judged(engine: Sampan) -> None:
    for body in ({"Containers": {"nosuch": ["1"]}}, {"Images": {"nosuch": ["1"]}}, {"Volumes": {"until": ["1h"]}}):
        answer = engine.api("POST", "/sampan/prune-plan", body)
        assert answer.status == 400, body
        assert "invalid filter" in json.loads(answer.body)["message"]
