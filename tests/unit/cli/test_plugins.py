"""Plugins of the command: where they are found, what they are asked and given, and those that are not what they should be."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sampan.cli import plugins
from sampan.cli.config import Globals
from sampan.cli.session import Session
from sampan.cli.verbs import completion

PROJECT = Path(__file__).parents[3]
SAYS = {"SchemaVersion": "0.1.0", "Vendor": "Somebody", "Version": "1.2", "ShortDescription": "Greets"}
GREETS = """#!/bin/sh
case $1 in
docker-cli-plugin-metadata) echo '{metadata}' ;;
__complete) printf 'one\\tthe first\\ntwo\\n:{directive}\\n' ;;
*) echo "$0" "$@"; echo "$DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND|$DOCKER_HOST"; exit 7 ;;
esac
"""


def plugin(directory: Path, name: str, says: dict[str, str] | str = SAYS, directive: int = 4) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    metadata = says if isinstance(says, str) else json.dumps(says)
    path.write_text(GREETS.format(metadata=metadata, directive=directive))
    path.chmod(0o755)
    return path


def session(home: Path, **environ: str) -> Session:
    return Session(Globals({"HOME": str(home), **environ}))


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "SYSTEM", (str(tmp_path / "system"),))


def own(home: Path) -> Path:
    return home / ".docker/cli-plugins"


def test_directories_hide_each_other_in_dockers_order(tmp_path: Path) -> None:
    last = plugin(tmp_path / "system", "docker-greet")
    middle = plugin(own(tmp_path), "docker-greet")
    assert plugins.find(session(tmp_path), "greet").path == str(middle)  # type: ignore[union-attr]
    first = plugin(tmp_path / "extra", "docker-greet")
    (tmp_path / ".docker/config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(tmp_path / "extra")]}))
    found = plugins.find(session(tmp_path), "greet")
    assert found is not None
    assert (found.path, found.shadowed) == (str(first), [str(middle), str(last)])
    sampans = plugin(tmp_path / "extra", "sampan-greet")
    assert [each.path for each in plugins.every(session(tmp_path))] == [str(sampans)]


def test_what_is_no_plugin_is_not_found(tmp_path: Path) -> None:
    plugin(own(tmp_path), "docker-Greet")
    plugin(own(tmp_path), "docker-gre-et")
    plugin(own(tmp_path), "greet")
    (own(tmp_path) / "docker-directory").mkdir()
    (own(tmp_path) / "docker-nowhere").symlink_to("/nonexistent")
    assert plugins.every(session(tmp_path)) == []
    for name in ("Greet", "../greet", "", "-x", "greet", "directory"):
        assert plugins.find(session(tmp_path), name) is None


@pytest.mark.parametrize(
    ("says", "fault"),
    [
        ({**SAYS, "SchemaVersion": "9"}, 'plugin SchemaVersion "9" is not valid, must be "0.1.0"'),
        ({**SAYS, "Vendor": ""}, "plugin metadata does not define a vendor"),
        ("no json", "invalid metadata: not JSON"),
        ("[]", "invalid metadata"),
    ],
)
def test_a_broken_one_is_named_with_the_reason(tmp_path: Path, says: dict[str, str] | str, fault: str) -> None:
    plugin(own(tmp_path), "docker-greet", says)
    (found,) = plugins.every(session(tmp_path))
    assert fault in found.fault
    assert fault in str(found.document()["Err"])


def test_one_that_hangs_floods_or_cannot_be_executed_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_SECONDS", 1.0)
    for name, program in (("hangs", "sleep 1000"), ("floods", "yes"), ("fails", "exit 3")):
        path = plugin(own(tmp_path), f"docker-{name}")
        path.write_text(f"#!/bin/sh\nexec {program}\n" if name != "fails" else "#!/bin/sh\nexit 3\n")
    plugin(own(tmp_path), "docker-locked").chmod(0o644)
    plugin(own(tmp_path), "docker-run")
    faults = {each.name: each.fault for each in plugins.every(session(tmp_path))}
    assert "no answer within" in faults["hangs"]
    assert "more than 65536 bytes" in faults["floods"]
    assert "exit status 3" in faults["fails"]
    assert "permission denied" in faults["locked"]
    assert faults["run"] == 'plugin "run" duplicates builtin command'


def command(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = "from sampan.cli_main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "src"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_gets_the_whole_command_line_and_the_daemon(tmp_path: Path) -> None:
    path = plugin(own(tmp_path), "docker-greet")
    done = command(tmp_path, "--log-level", "warn", "greet", "--loud", "you")
    assert done.returncode == 7
    called, around = done.stdout.splitlines()
    assert called == f"{path} --log-level warn greet --loud you"
    assert around.endswith("|unix:///run/sampan/sampan.sock") or "/sampan/sampan.sock" in around
    assert command(tmp_path, "greet", DOCKER_HOST="tcp://h:1").stdout.splitlines()[1].endswith("|tcp://h:1")
    # An address that is on the command line is the plugin's to read.
    assert command(tmp_path, "-H", "unix:///x", "greet").stdout.splitlines()[1].endswith("|")
    assert command(tmp_path, "help", "greet").stdout.splitlines()[0] == f"{path} greet --help"


def test_help_and_complaints_name_them(tmp_path: Path) -> None:
    plugin(own(tmp_path), "docker-greet")
    plugin(own(tmp_path), "docker-mute", "{}")
    shown = command(tmp_path, "--help").stdout
    assert "\n  greet*      Greets\n" in shown
    assert "Invalid Plugins:\n  mute        plugin SchemaVersion" in shown
    refused = command(tmp_path, "mute")
    assert (refused.returncode, 'the plugin "mute"' in refused.stderr, "SchemaVersion" in refused.stderr) == (
        1,
        True,
        True,
    )
    unknown = command(tmp_path, "compose", "up")
    assert unknown.returncode == 1
    assert "is the plugin docker-compose, which is in none of" in unknown.stderr
    assert str(own(tmp_path)) in unknown.stderr


def test_info_lists_them(tmp_path: Path) -> None:
    path = plugin(own(tmp_path), "docker-greet")
    done = command(tmp_path, "-H", "unix:///nonexistent", "info", "--format", "json")
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["ClientInfo"]["Plugins"] == [{**SAYS, "Name": "greet", "Path": str(path)}]
    text = command(tmp_path, "-H", "unix:///nonexistent", "info").stdout
    assert f" Plugins:\n  greet: Greets (Somebody)\n    Version:  1.2\n    Path:     {path}\n" in text


def test_they_complete_their_own_words(tmp_path: Path) -> None:
    plugin(own(tmp_path), "docker-greet")
    assert completion.candidates(session(tmp_path), ["greet", "you"], "o") == ["one", "two"]
    assert "greet" in completion.candidates(session(tmp_path), [], "gre")
    assert completion.candidates(session(tmp_path), ["nothing"], "") == []


@pytest.mark.parametrize(("directive", "found"), [(4, []), (0, [":files"])])
def test_a_path_may_stand_where_they_know_nothing(tmp_path: Path, directive: int, found: list[str]) -> None:
    path = plugin(own(tmp_path), "docker-greet", directive=directive)
    path.write_text(path.read_text().replace("one\\tthe first\\ntwo\\n", ""))
    assert completion.candidates(session(tmp_path), ["greet"], "") == found
