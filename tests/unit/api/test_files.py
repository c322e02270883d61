"""The archive and export routes over a backend in memory."""

import json
from collections.abc import Iterator

import pytest

from sampan.spec.containers import ContainerConfig
from sampan.spec.requests import CommitOptions, ExtractOptions
from tests.api.serving import Served, serving
from tests.unit.api.test_http import CREATE, Client

STAT = "X-Docker-Container-Path-Stat"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("files")) as started:
        yield started


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with served.connect() as sock:
        made = Client(sock)
        if not any(box.name == "box" for box in served.memory.containers.boxes.values()):
            assert made.ask("POST", "/containers/create?name=box", CREATE).status == 201
        yield made


def test_stat_is_a_header(client: Client) -> None:
    answer = client.ask("HEAD", "/containers/box/archive?path=/there")
    assert (answer.status, answer.headers[STAT]) == (200, "c3RhdA==")
    assert client.ask("HEAD", "/containers/box/archive?path=/not").status == 404


def test_read_has_the_header_and_the_tar(client: Client) -> None:
    answer = client.ask("GET", "/v1.41/containers/box/archive?path=/there")
    assert (answer.status, answer.headers[STAT], answer.headers["Content-Type"]) == (
        200,
        "c3RhdA==",
        "application/x-tar",
    )
    assert answer.body == b"tar"
    missing = client.ask("GET", "/containers/box/archive?path=/not")
    assert (missing.status, missing.message) == (404, "Could not find the file /not in container box")


def test_a_path_is_required(client: Client) -> None:
    for method in ("GET", "PUT"):
        answer = client.ask(method, "/containers/box/archive")
        assert (answer.status, answer.message) == (400, "bad parameter: pathcannot be empty")


def test_write_passes_the_body_and_the_options(client: Client, served: Served) -> None:
    target = "/containers/box/archive?path=/d&noOverwriteDirNonDir=true&copyUIDGID=1"
    answer = client.ask("PUT", target, b"tar", "Content-Type: application/x-tar")
    assert (answer.status, answer.body) == (200, b"")
    assert served.memory.containers.calls[-1] == ("write", ExtractOptions("/d", True, True), b"tar")


def test_export_is_a_stream(client: Client) -> None:
    answer = client.ask("GET", "/containers/box/export")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/octet-stream", b"tar")
    assert client.ask("GET", "/containers/nosuch/export").status == 404


def test_changes(client: Client) -> None:
    answer = client.ask("GET", "/containers/box/changes")
    assert json.loads(answer.body) == [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/new", "Kind": 1}]


def test_commit_passes_what_was_asked(client: Client, served: Served) -> None:
    target = "/commit?container=box&repo=r&tag=t&author=a&comment=c&pause=0&changes=CMD%20x&changes=USER%20y"
    answer = client.ask("POST", target, b'{"Env":["A=b"]}')
    assert (answer.status, json.loads(answer.body)["Id"][:7]) == (201, "sha256:")
    kind, options, config = served.memory.containers.calls[-1]
    assert (kind, options) == ("commit", CommitOptions("box", "r", "t", "a", "c", False, ("CMD x", "USER y")))
    assert isinstance(config, ContainerConfig)
    assert config.env == ("A=b",)


def test_commit_needs_no_body(client: Client, served: Served) -> None:
    assert client.ask("POST", "/commit?container=box").status == 201
    assert served.memory.containers.calls[-1] == ("commit", CommitOptions("box"), None)
    assert client.ask("POST", "/commit?container=nosuch").status == 404


def test_disk_usage_by_type(client: Client) -> None:
    everything = json.loads(client.ask("GET", "/system/df").body)
    assert (everything["Images"], everything["Volumes"], everything["Containers"]) == ([], [], None)
    images = json.loads(client.ask("GET", "/system/df?type=image&type=container").body)
    assert (images["Images"], images["Volumes"]) == ([], None)
    wrong = client.ask("GET", "/system/df?type=nosuch")
    assert (wrong.status, wrong.message) == (400, "unknown object type: nosuch")
    assert client.ask("GET", "/v1.41/system/df?type=nosuch").status == 200
