"""The command line: runc's way of writing options, and names that never become paths."""

import pytest

from sampan.cgroups.hierarchy import Hierarchy
from sampan.errors import InvalidParameter
from sampan.oci.command import run
from sampan.oci.containers import Container
from sampan.oci.groups import plan
from sampan.oci.lifecycle import signal_number
from sampan.oci.options import Option, parse
from sampan.oci.words import COMMANDS, GLOBAL, usage
from sampan.spec import oci_runtime as oci

KNOWN = {"force": Option("", short="f"), "bundle": Option("", "DIR", "b"), "env": Option("", "E", "e", many=True)}


@pytest.mark.parametrize(
    "words", [["--bundle", "/x", "c"], ["-b=/x", "c"], ["-bundle=/x", "--", "c"], ["c", "-b", "/x"]]
)
def test_ways_of_writing(words: list[str]) -> None:
    parsed = parse(KNOWN, words)
    assert (parsed.text("bundle"), parsed.rest) == ("/x", ["c"])


def test_what_stands_behind_the_first_word_may_be_anothers() -> None:
    parsed = parse(KNOWN, ["-f", "-e", "A=1", "-e", "B=2", "c", "ls", "-f"], stop=True)
    assert parsed.flag("force")
    assert parsed.values["env"] == ["A=1", "B=2"]
    assert parsed.rest == ["c", "ls", "-f"]


@pytest.mark.parametrize("words", [["--nothing"], ["--bundle"], ["--force=perhaps"]])
def test_bad_options(words: list[str]) -> None:
    with pytest.raises(InvalidParameter):
        parse(KNOWN, words)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\0b", "a\n", "a" * 2000])
def test_names(name: str) -> None:
    with pytest.raises(InvalidParameter):
        Container("/nowhere", name)


@pytest.mark.parametrize(
    ("text", "number"), [("9", 9), ("KILL", 9), ("SIGTERM", 15), ("rtmin+3", 37), ("SIGRTMAX", 64)]
)
def test_signals(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "SIGNOTHING", "BLOCK", "RTMIN+99", "9" * 50])
def test_bad_signals(text: str) -> None:
    with pytest.raises(InvalidParameter):
        signal_number(text)


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert f"Example: sampan-oci {name}" in capsys.readouterr().out
    assert all(option.help for option in GLOBAL.values())
    assert "create" in usage()


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--root", "/nowhere", "state", "nobody"]) == 1
    assert capsys.readouterr().err == "sampan-oci: container does not exist: nobody\n"


HYBRID = Hierarchy({"memory": "/c/memory"}, "/c/unified")


def test_where_groups_are() -> None:
    nothing = oci.Resources()
    assert plan(HYBRID, "x", "/a/b", nothing, systemd=False).groups == {
        "memory": "/c/memory/a/b",
        "unified": "/c/unified/a/b",
    }
    assert plan(HYBRID, "x", "", nothing, systemd=False).groups["memory"] == "/c/memory/x"
    scoped = plan(HYBRID, "x", "a-b.slice:docker:id", nothing, systemd=True)
    assert scoped.groups["memory"] == "/c/memory/a.slice/a-b.slice/docker-id.scope"
    assert scoped.scope is not None
    assert scoped.scope.unit == "docker-id.scope"


@pytest.mark.parametrize(
    ("path", "systemd"), [("/a/../../b", False), ("/a/b", True), ("a:b", True), ("x.slice:a:", True)]
)
def test_where_groups_are_not(path: str, systemd: bool) -> None:
    with pytest.raises(InvalidParameter):
        plan(HYBRID, "x", path, oci.Resources(), systemd=systemd)
