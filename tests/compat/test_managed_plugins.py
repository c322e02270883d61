"""Managed plugins by the same `docker plugin` commands under Debian's dockerd and under Sampan: the same words and documents."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests import managed
from tests.daemons import Daemon, Docker, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "docker-client", "dockerd", "busybox")

LIFE = [
    ["plugin", "inspect", "-f", "{{json .Settings}}", "mine"],
    ["plugin", "inspect", "-f", "{{json .Config.Interface}} {{json .Config.Args}} {{json .Config.Linux}}", "mine"],
    ["plugin", "ls", "--format", "{{.Name}} {{.Description}} {{.Enabled}} {{.PluginReference}}"],
    ["plugin", "ls", "-q", "--filter", "capability=networkdriver"],
    ["plugin", "ls", "--filter", "enabled=true", "--format", "{{.Name}}"],
    ["plugin", "set", "mine", "FIXED=2"],
    ["plugin", "set", "mine", "nothing=2"],
    ["plugin", "set", "mine", "DEBUG=3", "args=a b"],
    ["plugin", "inspect", "-f", "{{json .Settings.Env}} {{json .Settings.Args}}", "mine"],
    ["plugin", "disable", "mine"],
    ["plugin", "enable", "mine"],
    ["plugin", "enable", "mine"],
    ["plugin", "ls", "--filter", "enabled=true", "--format", "{{.Name}}"],
    ["plugin", "set", "mine", "DEBUG=4"],
    ["plugin", "rm", "mine"],
    ["plugin", "disable", "mine"],
    ["plugin", "rm", "mine"],
    ["plugin", "rm", "mine"],
    ["plugin", "inspect", "mine"],
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What `docker plugin create` takes."""
    with tarfile.open(fileobj=BytesIO(managed.archive(managed.config()))) as tar:
        tar.extractall(tmp_path)
    return tmp_path


def told(engine: Daemon, directory: Path) -> list[Any]:
    """What each command leaves: code, output, error."""
    created = engine.docker("plugin", "create", "mine", str(directory))
    again = engine.docker("plugin", "create", "mine", str(directory))
    found: list[Any] = [(one.code, one.out, one.err) for one in (created, again)]
    for words in LIFE:
        done = engine.docker(*words)
        try:
            out: object = json.loads(done.out)
        except ValueError:
            out = done.out
        found.append((" ".join(words), done.code, out, done.err))
    return found


def test_the_same_life(engine: Sampan, peer: Docker, directory: Path) -> None:
    ours, theirs = told(engine, directory), told(peer, directory)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other
