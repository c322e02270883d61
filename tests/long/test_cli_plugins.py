"""The real docker-compose and docker-buildx as plugins of Sampan's own command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan, running_sampan
from tests.long import buildx, compose
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "bridge", "nftables")

COMPOSE = """
services:
  web:
    image: busybox
    command: ["sh", "-c", "echo page > /tmp/p && httpd -f -p 80 -h /tmp"]
  asks:
    image: busybox
    depends_on: [web]
    command: ["sh", "-c", "until wget -qO- http://web/p; do sleep 0.1; done"]
"""


class Command:
    """`sampan` with both plugins in its configuration's directory."""

    def __init__(self, engine: Sampan, home: Path) -> None:
        self._engine = engine
        self._environment = {"DOCKER_CONFIG": str(home), "BUILDX_CONFIG": str(home / "buildx")}
        (home / "cli-plugins").mkdir()
        (home / "cli-plugins/docker-compose").symlink_to(compose.program())
        (home / "cli-plugins/docker-buildx").symlink_to(buildx.program())

    def __call__(self, *words: str, stdin: bytes = b"") -> Outcome:
        return self._engine.sampan(*words, stdin=stdin, timeout=180, env=self._environment)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with running_sampan() as engine:
        engine.load_busybox()
        yield Command(engine, tmp_path)


def test_both_are_listed_and_complete(command: Command) -> None:
    told = command("info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}")
    assert told.text.split() == ["buildx", "compose"]
    assert "compose*" in command("--help").text
    assert "bake" in command("__complete", "--", "buildx", "bak").text.split("\n")
    assert "up" in command("__complete", "--", "compose", "u").text.split("\n")


def test_compose_up_and_down(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    project = ("compose", "-p", "project", "-f", str(file))
    up = command(*project, "up", "--abort-on-container-exit", "--exit-code-from", "asks")
    assert up.code == 0, up
    assert "page" in up.text
    assert command(*project, "down").code == 0
    assert command("ps", "-aq").text == ""


def test_buildx_build(command: Command) -> None:
    built = command("buildx", "build", "--load", "-t", "made", "-", stdin=b"FROM busybox\nRUN echo made > /made\n")
    assert built.code == 0, built
    assert command("run", "--rm", "made", "cat", "/made").text == "made"
