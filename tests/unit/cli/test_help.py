"""Help and completion come from the tables; every command has a summary and an example that parses."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.cli import registry
from sampan.cli.config import Globals
from sampan.cli.help import help_text
from sampan.cli.main import GLOBAL_OPTIONS, run_command
from sampan.cli.options import HELP
from sampan.cli.parse import parse_command, parse_options
from sampan.cli.session import Session
from sampan.cli.verbs.completion import candidates

SESSION = Session(Globals({"HOME": "/nonexistent"}))
PATHS = sorted(path for row in registry.COMMANDS for path in registry.spellings(row))


@pytest.mark.parametrize("path", PATHS)
def test_help_names_every_flag(path: str) -> None:
    text = help_text(path, SESSION)
    assert text is not None
    command = registry.load(path)
    assert text.startswith(f"Usage:  sampan {path} {command.usage}".rstrip())
    assert command.summary in text
    for option in command.options:
        assert f"--{option.name}" in text
    assert "Examples:" in text


@pytest.mark.parametrize("path", PATHS)
def test_examples_can_be_typed(path: str) -> None:
    for example in registry.load(path).examples:
        line = example.split("   ")[0].split(" < ")[0].split(" > ")[0].split(" | ")[0]
        named, rest = registry.split_path(shlex.split(line))
        parse_command(registry.load(named), named, rest)


@pytest.mark.parametrize("path", PATHS)
def test_no_flag_twice(path: str) -> None:
    options = (*registry.load(path).options, HELP)
    names = [option.name for option in options] + [option.also for option in options if option.also]
    shorts = [option.short for option in options if option.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    assert all(option.help for option in options)


def test_help_of_the_program_and_its_groups() -> None:
    whole = help_text("", SESSION)
    assert whole is not None
    for group in registry.GROUPS:
        assert f"\n  {group} " in whole
        text = help_text(group, SESSION)
        assert text is not None
        assert "Commands:" in text
    assert help_text("nope", SESSION) is None


def test_lines_fit_a_terminal() -> None:
    for path in PATHS:
        text = help_text(path, SESSION) or ""
        options = text.partition("Options:\n")[2].partition("\n\n")[0]
        assert all(len(line) <= 100 for line in options.splitlines()), path


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["--help"], 0, "Usage:  sampan [OPTIONS] COMMAND"),
        ([], 0, "Usage:  sampan [OPTIONS] COMMAND"),
        (["container"], 0, "Usage:  sampan container COMMAND"),
        (["help", "run"], 0, "Usage:  sampan run "),
        (["run", "--help"], 0, "Usage:  sampan run "),
        (["--version"], 0, "Sampan version "),
    ],
)
def test_what_needs_no_daemon(line: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(line, {"HOME": "/nowhere"}) == code
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["nope"], 1, "sampan: unknown command: sampan nope"),
        (["container", "nope"], 1, "sampan: unknown command: sampan container nope"),
        (["stack", "x"], 1, "sampan: 'sampan stack' is not implemented yet"),
        (["help", "nope"], 1, "unknown help topic: nope"),
        (["--nope"], 125, "unknown flag: --nope"),
        (["-H", "ssh://x", "ps"], 1, "ssh:// addresses are not implemented"),
        (["-H", "unix:///nowhere/x.sock", "ps"], 1, "Cannot connect to the Docker daemon at unix:///nowhere/x.sock."),
        (["-H", "unix:///nowhere/x.sock", "run", "x"], 125, "sampan: Cannot connect to the Docker daemon"),
    ],
)
def test_what_fails_says_so(line: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(line, {"HOME": "/nowhere"}) == code
    outcome = capsys.readouterr()
    assert (outcome.out, outcome.err[: len(said)]) == ("", said)


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ([], "imag", ["image", "images"]),
        (["image"], "in", ["inspect"]),
        (["run"], "--net", ["--network", "--network-alias"]),
        (["run", "--env-file"], "", [":files"]),
        (["run", "--name"], "", []),
        (["run", "--rm", "image"], "", [":files"]),
        (["-H", "unix:///x", "volume"], "cr", ["create"]),
        (["nope"], "", []),
        (["load", "-i"], "", [":files"]),
        (["volume", "create"], "--clu", []),
    ],
)
def test_completion(words: list[str], last: str, expected: list[str]) -> None:
    session = Session(Globals({"HOME": "/nowhere", "DOCKER_HOST": "unix:///nowhere/x.sock"}))
    assert candidates(session, words, last) == expected


def test_global_options_end_at_the_command() -> None:
    values, rest = parse_options(GLOBAL_OPTIONS, ["-H", "x", "run", "-H"], "", "", interspersed=False)
    assert (values, rest) == ({"host": "x"}, ["run", "-H"])


def test_debug_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["-D"], ["--log-level", "debug"]):
        assert run_command([*flags, "-H", "unix:///nowhere/x.sock", "ps"], {"HOME": "/nowhere"}) == 1
        assert "Traceback" in capsys.readouterr().err
    assert run_command(["-l", "loud", "ps"], {"HOME": "/nowhere"}) == 1
    assert "unable to parse logging level: loud" in capsys.readouterr().err


def test_a_file_that_cannot_be_used_is_a_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"HOME": "/nowhere", "DOCKER_HOST": "unix:///nowhere/x.sock"}
    assert run_command(["load", "-i", "/nowhere/x.tar"], environ) == 1
    assert capsys.readouterr().err == "open /nowhere/x.tar: no such file or directory\n"


def test_the_bash_script_completes() -> None:
    """In a real bash: the words go through the script, to the command and back."""
    source = Path(__file__).parents[3] / "src"
    script = f"""
        sampan() {{ PYTHONPATH={source} {sys.executable} -m sampan.cli_main "$@"; }}
        source <(sampan completion bash)
        COMP_WORDS=(sampan container re); COMP_CWORD=2; _sampan; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["remove", "rename", "restart"]
