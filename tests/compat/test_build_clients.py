"""Real clients build: docker's command with its classic builder, docker-py."""

import io
from pathlib import Path

import docker
import pytest

from tests.daemons import Outcome, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "busybox", "docker-client")

TEXT = "FROM busybox\nARG NAME=world\nCOPY . /ctx/\nRUN echo hello $NAME > /hello\nCMD cat /hello\n"
CLASSIC = {"DOCKER_BUILDKIT": "0"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(TEXT)
    (tmp_path / ".dockerignore").write_text("*.log\n")
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "left.log").write_text("left out")
    return tmp_path


def build(engine: Sampan, *arguments: str, stdin: bytes = b"") -> Outcome:
    return engine.docker("build", *arguments, stdin=stdin, env=CLASSIC)


def test_the_command(engine: Sampan, place: Path) -> None:
    done = build(engine, "-t", "cli:1", "-t", "cli:2", "--build-arg", "NAME=you", "--label", "a=b", str(place))
    assert done.code == 0, done
    assert done.text.splitlines()[-2:] == ["Successfully tagged cli:1", "Successfully tagged cli:2"]
    assert engine.docker("run", "--rm", "cli:2").text == "hello you"
    assert engine.docker("run", "--rm", "cli:1", "ls", "/ctx").text.split() == ["Dockerfile", "kept.txt"]
    listed = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=a=b").text.split()
    assert sorted(listed) == ["cli:1", "cli:2"]
    history = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", "cli:1").text.splitlines()
    assert history[:2] == [
        'CMD ["/bin/sh" "-c" "cat /hello"]',
        "RUN |1 NAME=you /bin/sh -c echo hello $NAME > /hello # buildkit",
    ]


def test_quiet_and_a_file_for_the_id(engine: Sampan, place: Path) -> None:
    quiet = build(engine, "-q", "--iidfile", str(place / "id.log"), str(place))
    assert quiet.code == 0, quiet
    assert quiet.text == (place / "id.log").read_text().strip()
    assert engine.docker("run", "--rm", quiet.text).text == "hello world"


def test_a_dockerfile_alone_and_one_from_elsewhere(engine: Sampan, place: Path, tmp_path: Path) -> None:
    alone = build(engine, "-q", "-", stdin=b"FROM busybox\nCMD echo alone\n")
    assert engine.docker("run", "--rm", alone.text).text == "alone"
    other = tmp_path / "elsewhere.dockerfile"
    other.write_text("FROM busybox\nCOPY kept.txt /\nCMD cat /kept.txt\n")
    done = build(engine, "-q", "-f", str(other), str(place))
    assert engine.docker("run", "--rm", done.text).text == "kept"


def test_failures(engine: Sampan, place: Path) -> None:
    (place / "Dockerfile").write_text("FROM busybox\nRUN echo last words; exit 9\n")
    failed = build(engine, str(place))
    assert failed.code == 9
    assert "last words" in failed.text
    assert (
        failed.err.decode()
        .strip()
        .endswith("The command '/bin/sh -c echo last words; exit 9' returned a non-zero code: 9")
    )
    (place / "Dockerfile").write_text("FROM busybox\nRUM true\n")
    wrong = build(engine, str(place))
    assert wrong.code == 1
    assert b"Error response from daemon: dockerfile parse error on line 2: unknown instruction: RUM" in wrong.err


def test_pruning_what_is_kept(engine: Sampan, place: Path) -> None:
    assert build(engine, str(place)).code == 0
    assert "Using cache" in build(engine, str(place)).text
    pruned = engine.docker("builder", "prune", "-a", "-f")
    assert pruned.code == 0, pruned
    assert "Using cache" not in build(engine, str(place)).text


def test_docker_py(client: docker.DockerClient, place: Path) -> None:
    image, lines = client.images.build(path=str(place), tag="py:1", rm=True, buildargs={"NAME": "py"})
    assert image.tags == ["py:1"]
    assert client.containers.run(image.id, remove=True) == b"hello py\n"
    assert any(" ---> Running in " in str(line.get("stream")) for line in lines)
    told = list(client.api.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 4\n"), decode=True))
    assert told[-1]["error"] == "The command '/bin/sh -c exit 4' returned a non-zero code: 4"
