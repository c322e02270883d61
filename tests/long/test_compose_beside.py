"""Compose files in their usual shapes, driven by the real docker-compose against this engine and Docker 28: the same comes out."""

import difflib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon, Outcome, Sampan, running_sampan
from tests.long.compose import Project
from tests.long.newest import running_newest_docker
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

SHAPES = Path(__file__).parent / "shapes"

_VOLATILE = (
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d+(\.\d+)?(ms|s)\b"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)"), "MOMENT"),
    (re.compile(r'"(ConfigFiles|Created|Size|LastTagTime|ID)":("[^"]*"|\d+)'), r"\1"),
)

CONFIGURATION = " ".join(
    f"{member}={{{{json .{member}}}}}"
    for member in (
        *("State.Status", "RestartCount", "HostConfig.Memory", "HostConfig.NanoCpus", "HostConfig.PidsLimit"),
        *("HostConfig.CapAdd", "HostConfig.CapDrop", "HostConfig.ReadonlyRootfs", "HostConfig.ShmSize"),
        *(
            "HostConfig.Ulimits",
            "HostConfig.SecurityOpt",
            "HostConfig.RestartPolicy",
            "HostConfig.Init",
            "HostConfig.Tmpfs",
        ),
        *(
            "HostConfig.Sysctls",
            "HostConfig.ExtraHosts",
            "HostConfig.Dns",
            "HostConfig.GroupAdd",
            "HostConfig.LogConfig",
        ),
        *("Config.StopSignal", "Config.Env", "Config.Cmd", "Config.Entrypoint", "Config.User", "Config.WorkingDir"),
        *("Config.Hostname", "Config.Domainname", "Config.Tty"),
    )
)


@pytest.fixture(scope="module")
def sampan() -> Iterator[Sampan]:
    with running_sampan() as engine:
        engine.load_busybox()
        yield engine


@pytest.fixture(scope="module")
def docker() -> Iterator[Daemon]:
    with running_newest_docker() as engine:
        engine.load_busybox()
        yield engine


@pytest.mark.parametrize("shape", sorted(path.name for path in SHAPES.iterdir() if path.is_dir()))
def test_the_same_comes_out(shape: str, sampan: Sampan, docker: Daemon, tmp_path: Path) -> None:
    ours = played(SHAPES / shape, sampan, tmp_path / "one" / "given")
    theirs = played(SHAPES / shape, docker, tmp_path / "two" / "given")
    assert ours == theirs, "\n".join(difflib.unified_diff(theirs, ours, "docker", "sampan", lineterm="", n=4))


def played(shape: Path, engine: Daemon, place: Path) -> list[str]:
    """What each step leaves: its words, code and output, without what differs from run to run; and nothing at the end."""
    shutil.copytree(shape, place)
    project = Project(engine, place)
    seen = []
    try:
        for step in (shape / "steps").read_text().splitlines():
            seen += [f"$ {step}", *shown(_played(step, engine, project))]
    finally:
        project("--profile", "*", "down", "-v", "-t", "1", "--remove-orphans")
    left = engine.docker("ps", "-aq"), engine.docker("network", "ls", "-q", "-f", "type=custom")
    assert [outcome.text for outcome in left] == ["", ""]
    return seen


def _played(step: str, engine: Daemon, project: Project) -> Outcome:
    words = [CONFIGURATION if word == "CONFIGURATION" else word for word in shlex.split(step)]
    return engine.docker(*words[1:]) if words[0] == "docker" else project(*words)


def shown(outcome: Outcome) -> list[str]:
    """Code, output, and the last line of the errors of what failed.

    Sorted: services of one age stand in a list in any order. The other lines of errors are compose's progress.
    """
    lines = [f"[{outcome.code}]", *sorted(outcome.text.splitlines())]
    if outcome.code:
        lines += outcome.err.decode(errors="replace").strip().splitlines()[-1:]
    return [_steady(line) for line in lines]


def _steady(line: str) -> str:
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return line.rstrip()
