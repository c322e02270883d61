"""Pull and push, raw: the lines of Sampan's stream are those of Debian's dockerd, in an order that Docker's could have.

dockerd stands in a network of its own. So two docker-registry serve the same files at the same port, one in each network: the
same name means the same image to both engines.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Daemon, Docker, Sampan
from tests.registries import PROGRAM, Registry, running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-registry", "docker-client", "dockerd", "busybox")


@pytest.fixture(scope="module")
def registry(peer: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    directory = tmp_path_factory.mktemp("registry")
    with running_registry(directory) as running:
        config = yaml.safe_load((directory / "config.yml").read_text())
        config["http"]["addr"] = f"127.0.0.1:{running.port}"
        (directory / "twin.yml").write_text(yaml.safe_dump(config))
        assert peer.process is not None
        network = f"--net=/proc/{peer.process.pid}/ns/net"
        with (directory / "twin.log").open("wb") as log:
            twin = subprocess.Popen(
                ["nsenter", network, PROGRAM, "serve", str(directory / "twin.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(directory / "twin.log", twin)
            yield running
        finally:
            twin.terminate()
            twin.wait(10)


def _wait_for(log: Path, process: subprocess.Popen[bytes]) -> None:
    while "listening on" not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")


def layer(content: bytes) -> bytes:
    made = Layer()
    made.file(f"file-{content[:1].hex()}", content)
    return made.tar()


@pytest.fixture(scope="module")
def name(engine: Sampan, registry: Registry) -> str:
    """An image of three layers that Sampan pushed, and no longer has."""
    image = f"{registry.address}/team/app:1"
    layers = [busybox_rootfs(), layer(b"a" * 200_000), layer(b"b" * 10)]
    archive = docker_archive(image, layers, {"Cmd": ["true"], "Env": [PATH]})
    assert engine.docker("load", stdin=archive).code == 0
    assert engine.docker("push", image).code == 0
    assert engine.docker("rmi", image).code == 0
    return image


def lines(daemon: Daemon, path: str) -> tuple[int, list[dict[str, Any]]]:
    answer = daemon.api("POST", path, headers={"X-Registry-Auth": "e30="})
    return answer.status, [json.loads(line) for line in answer.body.splitlines() if line.strip()]


PASSING = ("Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pushing")
"""Small layers are through before these are told of them; Docker's own stream loses what is followed too soon."""


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every kind of line, with its members; how often numbers come is the moment's affair."""
    shapes = set()
    for line in found:
        counts = bool(line.get("progressDetail"))
        members = tuple(sorted(line))
        status = line.get("status", "")
        if status in PASSING:
            continue
        shapes.add((line.get("id", ""), status, (*members, "numbers") if counts else members))
    return sorted(shapes)


def of_one(found: list[dict[str, Any]], identifier: str) -> list[str]:
    steps = [line["status"] for line in found if line.get("id") == identifier]
    return [step for step in dict.fromkeys(steps) if step not in PASSING]


def test_a_pull(engine: Sampan, peer: Docker, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    ask = f"/images/create?fromImage={repository}&tag={tag}"
    (status, mine), (other, theirs) = lines(engine, ask), lines(peer, ask)
    assert (status, told(mine)) == (other, told(theirs))
    assert [line for line in mine if "id" not in line] == [line for line in theirs if "id" not in line]
    for identifier in {line["id"] for line in mine if "id" in line}:
        assert of_one(mine, identifier) == of_one(theirs, identifier)
    again, again_theirs = lines(engine, ask), lines(peer, ask)
    assert again == again_theirs
    for daemon in (engine, peer):
        assert daemon.docker("rmi", name).code == 0


@pytest.mark.parametrize(
    "query",
    [
        "fromImage=REPOSITORY&tag=none",
        "fromImage=REPOSITORY/none&tag=1",
        "fromImage=REPOSITORY&tag=UP:x",
        "fromImage=scratch&tag=latest",
        "fromImage=REPOSITORY&tag=sha256:" + "0" * 64,
    ],
)
def test_what_cannot_be_pulled(engine: Sampan, peer: Docker, name: str, query: str) -> None:
    ask = "/images/create?" + query.replace("REPOSITORY", name.rpartition(":")[0])
    assert lines(engine, ask) == lines(peer, ask)


def test_a_push(engine: Sampan, peer: Docker, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    for daemon in (engine, peer):
        assert daemon.docker("pull", name).code == 0
    ask = f"/images/{repository}/push?tag={tag}"
    (status, mine), (other, theirs) = lines(engine, ask), lines(peer, ask)
    assert (status, told(mine)) == (other, told(theirs))
    assert mine[-1] == theirs[-1]
    for daemon in (engine, peer):
        assert daemon.docker("tag", name, f"{repository}-mounted:2").code == 0
    # Each into a name of its own: the second would find what the first has left.
    assert any(
        line["status"] == "Mounted from team/app"
        for line in lines(engine, f"/images/{repository}-mounted/push?tag=2")[1]
        if "status" in line
    )
    for daemon in (engine, peer):
        assert daemon.docker("rmi", name, f"{repository}-mounted:2").code == 0


@pytest.mark.parametrize("path", ["/images/REPOSITORY/push?tag=9", "/images/REPOSITORY-none/push?tag=1"])
def test_what_cannot_be_pushed(engine: Sampan, peer: Docker, name: str, path: str) -> None:
    for daemon in (engine, peer):
        assert daemon.docker("pull", name).code == 0
    ask = path.replace("REPOSITORY", name.rpartition(":")[0])
    assert lines(engine, ask) == lines(peer, ask)
    for daemon in (engine, peer):
        assert daemon.docker("rmi", name).code == 0
