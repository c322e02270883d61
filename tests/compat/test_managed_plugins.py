"""Managed plugins by the same `docker plugin` commands under Debian's dockerd and under Sampan: the same words and documents."""

import json
import re
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests import managed
from tests.daemons import Daemon, Docker, Sampan
from tests.registries import running_registry
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
    # A client that is answered while it still sends says so beside, in lines of its own.
    found: list[Any] = [
        (one.code, one.out, re.sub(rb"^time=.*\n", b"", one.err, flags=re.MULTILINE)) for one in (created, again)
    ]
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


def test_by_sampan_s_own_command(engine: Sampan, directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same life by `sampan plugin`: from a directory to a registry, and back under another name."""
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        name = f"{registry.address}/team/plugin:v1"
        assert engine.sampan("plugin", "create", name, str(directory)).text == name
        listed = engine.sampan("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}")
        assert listed.text == f"{name} false", listed.err
        assert engine.sampan("plugin", "push", name).code == 0
        assert engine.sampan("plugin", "rm", name).text == name
        doubted = engine.sampan("plugin", "install", "--alias", "mine", name, stdin=b"n\n")
        assert doubted.code == 1
        assert f'Plugin "{name}" is requesting the following privileges:' in doubted.out.decode()
        assert f"permission denied while installing plugin {name}" in doubted.err.decode()
        installed = engine.sampan("plugin", "install", "--alias", "mine", name, "DEBUG=3", stdin=b"y\n")
        assert installed.code == 0, installed.err
        assert engine.sampan("plugin", "inspect", "-f", "{{.Enabled}} {{.Name}}", "mine").text == "true mine:latest"
        assert "DEBUG=3" in engine.sampan("plugin", "inspect", "-f", "{{json .Settings.Env}}", "mine").text
        refused = engine.sampan("plugin", "upgrade", "--grant-all-permissions", "mine")
        assert "the plugin must be disabled before upgrading" in refused.err.decode()
        assert engine.sampan("plugin", "disable", "mine").text == "mine"
        upgraded = engine.sampan("plugin", "upgrade", "--grant-all-permissions", "mine")
        assert upgraded.text.splitlines()[-1] == f"Upgraded plugin mine:latest to {name}", upgraded.err
        assert engine.sampan("plugin", "set", "mine", "DEBUG=4").code == 0
        assert engine.sampan("plugin", "enable", "mine").text == "mine"
        assert engine.sampan("plugin", "rm", "-f", "mine").text == "mine"
