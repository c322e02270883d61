"""`sampan pull`, `push` and `run --pull` say what docker's command says of the same, in a pipe and at a terminal."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Outcome, Sampan, entry_point, scrubbed_environment
from tests.registries import Registry, running_registry
from tests.requires import requires
from tests.terminals import Terminal

pytestmark = requires("root", "overlay", "docker-client", "docker-registry", "busybox")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def name(engine: Sampan, registry: Registry) -> str:
    """An image of two layers in the registry."""
    layer = Layer()
    layer.file("second", b"x" * 100_000)
    image = f"{registry.address}/team/app:1"
    archive = docker_archive(image, [busybox_rootfs(), layer.tar()], {"Cmd": ["echo", "hello"], "Env": [PATH]})
    assert engine.docker("load", stdin=archive).code == 0
    assert engine.docker("push", image).code == 0
    assert engine.docker("rmi", image).code == 0
    return image


def both(engine: Sampan, *words: str, forget: str = "") -> tuple[Outcome, Outcome]:
    outcomes = []
    for command in (["docker"], entry_point("sampan")):
        if forget:
            engine.docker("rmi", forget)
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            check=False,
            timeout=60,
            env={**scrubbed_environment(), "DOCKER_HOST": engine.host},
        )
        outcomes.append(Outcome(done.returncode, done.stdout, done.stderr))
    return outcomes[0], outcomes[1]


def shape(outcome: Outcome) -> tuple[int, list[bytes], list[bytes]]:
    """Layers come in any order."""
    told = outcome.err.replace(b"docker", b"sampan")
    return outcome.code, sorted(outcome.out.splitlines()), sorted(told.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["pull", "NAME"],
        ["pull", "-q", "NAME"],
        ["pull", "--disable-content-trust", "NAME"],
        ["image", "pull", "REPOSITORY:nosuch"],
        ["pull", "REPOSITORY"],
        ["pull", "-a", "REPOSITORY"],
        ["pull", "-a", "NAME"],
        ["pull", "--platform", "linux/arm64", "NAME"],
        ["pull", "UPPER"],
        ["run", "--rm", "NAME"],
        ["run", "--rm", "-q", "NAME"],
        ["run", "--rm", "--pull", "always", "NAME"],
        ["run", "--rm", "--pull", "never", "NAME"],
        ["run", "--rm", "REPOSITORY:nosuch"],
    ],
    ids=" ".join,
)
def test_pulls_say_the_same(engine: Sampan, name: str, words: list[str]) -> None:
    repository = name.rpartition(":")[0]
    line = [word.replace("NAME", name).replace("REPOSITORY", repository) for word in words]
    docker, sampan = both(engine, *line, forget=name)
    assert shape(sampan) == shape(docker)


@pytest.mark.parametrize(
    "words",
    [
        ["push", "NAME"],
        ["push", "-q", "NAME"],
        ["image", "push", "REPOSITORY:nosuch"],
        ["push", "REPOSITORY"],
        ["push", "-a", "REPOSITORY"],
        ["push", "-a", "NAME"],
        ["push", "nowhere/at/all"],
        ["push", "UPPER"],
    ],
    ids=" ".join,
)
def test_pushes_say_the_same(engine: Sampan, name: str, words: list[str]) -> None:
    engine.docker("pull", name)
    repository = name.rpartition(":")[0]
    line = [word.replace("NAME", name).replace("REPOSITORY", repository) for word in words]
    docker, sampan = both(engine, *line)
    assert shape(sampan) == shape(docker)


def test_at_a_terminal_the_same_rows_are_drawn(engine: Sampan, name: str) -> None:
    drawn = []
    for command in (["docker"], entry_point("sampan")):
        engine.docker("rmi", name)
        environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host, "TERM": "xterm"}
        with Terminal([*command, "pull", name], environment) as terminal:
            assert terminal.wait() == 0
            drawn.append(terminal.screen)
    assert kinds(drawn[1]) == kinds(drawn[0])
    assert rows(drawn[1]) == rows(drawn[0])


def kinds(screen: bytes) -> set[bytes]:
    """What is done with the cursor, whatever the order and number of rows."""
    return set(re.findall(rb"\x1b\[\d*[A-Za-z]", screen))


def rows(screen: bytes) -> list[bytes]:
    """The lines that stay: those of layers by how they end, all others as they are."""
    lines = re.split(rb"\r\n|\r|\n|\x1b\[\d*[A-Za-z]", screen)
    kept: dict[bytes, bytes] = {}
    for line in filter(None, lines):
        head, _, _ = line.partition(b": ")
        kept[head] = line.rstrip()
    return sorted(kept.values())
