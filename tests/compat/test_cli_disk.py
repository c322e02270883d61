"""What takes room: `system df` by both commands, sizes of containers, and docker-py's `df`."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import docker
import pytest

from tests.agreement import agree
from tests.daemons import Outcome, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-client:28", "busybox")


@pytest.fixture(scope="module", autouse=True)
def _used(engine: Sampan) -> Iterator[None]:
    """One image more, made of a container; a volume in use, one that is not; a container that runs."""
    script = "head -c 100000 /dev/zero > /layer"
    for words in (
        ["run", "--name", "first", "--net", "none", "busybox", "sh", "-c", script],
        ["commit", "first", "second:1"],
        ["volume", "create", "alone"],
        ["volume", "create", "used"],
        [
            "run",
            "--name",
            "ended",
            "--net",
            "none",
            "-v",
            "used:/v",
            "second:1",
            "sh",
            "-c",
            "echo 12345 > /v/f; echo 1 > /a",
        ],
        ["run", "-d", "--name", "alive", "--net", "none", "busybox", "sh", "-c", "echo 1234567 > /f; sleep 1000"],
    ):
        assert engine.docker(*words).code == 0
    for _ in range(200):
        if engine.docker("ps", "-s", "--filter", "name=alive", "--format", "{{.Size}}").text.startswith("8B "):
            break
    yield
    engine.remove_containers()
    assert engine.docker("rmi", "second:1").code == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-v",),
        ("--format", "json"),
        ("--format", "{{.Type}}: {{.Active}} of {{.TotalCount}}, {{.Size}}, {{.Reclaimable}}"),
        ("--format", "table {{.Type}}\t{{.Size}}"),
        ("-v", "--format", "{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}};{{end}}"),
        ("-v", "--format", "{{range .Images}}{{.Repository}} {{.UniqueSize}} {{.Containers}};{{end}}"),
    ],
    ids=" ".join,
)
def test_both_commands_show_the_same(engine: Sampan, words: tuple[str, ...]) -> None:
    def shown(asked: Callable[..., Outcome]) -> list[str]:
        outcome = asked("system", "df", *words)
        assert outcome.code == 0, outcome
        return outcome.text.splitlines()

    agree(lambda: shown(engine.sampan), lambda: shown(engine.docker))


def test_the_numbers(engine: Sampan) -> None:
    usage = engine.api("GET", "/system/df").json()
    assert isinstance(usage, dict)
    images = {(image["RepoTags"] or ["?"])[0]: image for image in usage["Images"]}
    base, second = images["busybox:latest"], images["second:1"]
    assert second["Size"] - base["Size"] == 100_000
    assert (base["SharedSize"], second["SharedSize"]) == (base["Size"], base["Size"])
    assert usage["LayersSize"] == second["Size"]
    assert (base["Containers"], second["Containers"], images["host:latest"]["Size"]) == (2, 1, 0)
    containers = {container["Names"][0]: container for container in usage["Containers"]}
    assert {name: container["SizeRw"] for name, container in containers.items()} == {
        "/first": 100_000, "/ended": 2, "/alive": 8,
    }  # fmt: skip
    assert containers["/ended"]["SizeRootFs"] == second["Size"] + 2
    volumes = {volume["Name"]: volume["UsageData"] for volume in usage["Volumes"]}
    assert volumes == {"alone": {"Size": 0, "RefCount": 0}, "used": {"Size": 6, "RefCount": 1}}
    assert usage["BuildCache"] == []


def test_only_what_is_asked_for(engine: Sampan) -> None:
    usage = engine.api("GET", "/system/df?type=volume").json()
    assert isinstance(usage, dict)
    assert (usage["Images"], usage["Containers"], len(usage["Volumes"]), usage["LayersSize"]) == (None, None, 2, 0)


def test_docker_py(engine: Sampan) -> None:
    client = docker.DockerClient(base_url=engine.host)
    try:
        assert {name for image in client.df()["Images"] for name in image["RepoTags"] or ()} >= {"second:1"}
        container = client.containers.get("ended")
        assert {"Path": "/a", "Kind": 1} in container.diff()
        stream, told = container.get_archive("/v")
        assert told["name"] == "v"
        assert b"12345" in b"".join(stream)
        assert container.put_archive("/tmp", b"".join(container.get_archive("/a")[0])) is True
        assert {"Path": "/tmp/a", "Kind": 1} in container.diff()
        image = container.commit(
            repository="third", tag="1", message="note", author="me", changes="USER 5", conf={"Env": ["A=b"]}
        )
        assert (image.attrs["Comment"], image.attrs["Config"]["User"]) == ("note", "5")
        assert "A=b" in image.attrs["Config"]["Env"]
        assert len(b"".join(container.export())) > 1_000_000
        client.images.remove("third:1")
    finally:
        client.close()


def test_pruning_frees_what_it_says(engine: Sampan) -> None:
    made = engine.docker(
        "run", "--name", "spare", "--net", "none", "busybox", "sh", "-c", "head -c 5000 /dev/zero > /f"
    )
    assert made.code == 0
    wrong = engine.api("POST", '/containers/prune?filters={"until":["1h","2h"]}')
    assert (wrong.status, wrong.json()) == (400, {"message": "more than one until filter specified"})
    report = engine.api("POST", '/containers/prune?filters={"label":["nosuch"]}').json()
    assert report == {"ContainersDeleted": None, "SpaceReclaimed": 0}
    identity = engine.docker("inspect", "-f", "{{.Id}}", "spare").text
    others = json.dumps({"until": [engine.docker("inspect", "-f", "{{.Created}}", "first").text]})
    assert identity not in str(engine.api("POST", f"/containers/prune?filters={quote(others)}").json())
