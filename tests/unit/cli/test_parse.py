"""Command lines, read as pflag reads them."""

import pytest

from sampan.cli.failures import UsageError
from sampan.cli.options import Command, Option, Parsed
from sampan.cli.parse import HelpWanted, parse_command
from sampan.cli.session import Session


def nothing(session: Session, parsed: Parsed) -> int:
    return 0


def command(words: tuple[int, int | None] = (0, None), interspersed: bool = True) -> Command:
    options = (
        Option("all", "bool", "", "a"),
        Option("rm", "bool", ""),
        Option("proxy", "bool", "", default=True),
        Option("name", "string", "", "n"),
        Option("env", "list", "", "e", check="assignment"),
        Option("memory", "bytes", "", "m"),
        Option("network", "list", "", also="net"),
        Option("many", "strings", ""),
        Option("tree", "bool", "", refused="no trees here"),
    )
    return Command("[OPTIONS]", "", nothing, options, words, interspersed=interspersed)


@pytest.mark.parametrize(
    ("line", "values", "words"),
    [
        ("", {}, []),
        ("a b", {}, ["a", "b"]),
        ("--all --name x y", {"all": True, "name": "x"}, ["y"]),
        ("--name=x --name= y", {"name": ""}, ["y"]),
        ("-a -n x", {"all": True, "name": "x"}, []),
        ("-an x", {"all": True, "name": "x"}, []),
        ("-anx", {"all": True, "name": "x"}, []),
        ("-n=x -n=", {"name": "="}, []),
        ("--all=false --rm=1", {"all": False, "rm": True}, []),
        ("-e A=1 -eB=2 --env C", {"env": ["A=1", "B=2", "C"]}, []),
        ("-m 1.5k --memory 2m", {"memory": 2 * 1024 * 1024}, []),
        ("--net x --network y", {"network": ["x", "y"]}, []),
        ("--many a,b --many c", {"many": ["a", "b", "c"]}, []),
        ("a --all b", {"all": True}, ["a", "b"]),
        ("a -- --all", {}, ["a", "--all"]),
        ("-- -a", {}, ["-a"]),
        ("- a", {}, ["-", "a"]),
    ],
)
def test_lines(line: str, values: dict[str, object], words: list[str]) -> None:
    parsed = parse_command(command(), "x", line.split())
    assert (parsed.values, parsed.words) == (values, words)


def test_the_first_word_ends_the_options_of_run() -> None:
    parsed = parse_command(command(interspersed=False), "run", ["-a", "image", "ls", "-a", "--name", "x", "--"])
    assert (parsed.values, parsed.words) == ({"all": True}, ["image", "ls", "-a", "--name", "x", "--"])


def test_defaults_and_types() -> None:
    parsed = parse_command(command(), "x", [])
    assert parsed.flag("proxy") is True
    assert parsed.text("name") == ""
    assert parsed.many("env") == []
    assert parsed.number("memory") == 0
    assert not parsed.given("name")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--nope", "unknown flag: --nope"),
        ("-z", "unknown shorthand flag: 'z' in -z"),
        ("-azn", "unknown shorthand flag: 'z' in -zn"),
        ("--name", "flag needs an argument: --name"),
        ("-an", "flag needs an argument: 'n' in -n"),
        ("--=x", "bad flag syntax: --=x"),
        (
            "--all=maybe",
            'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        ("--env =x", 'invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x'),
        ("--tree", "sampan: --tree is not implemented: no trees here"),
    ],
)
def test_what_is_wrong_is_said_in_pflags_words(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command(command(), "x", line.split())
    assert caught.value.message == message
    assert caught.value.code == 125
    assert str(caught.value).endswith("Usage:  sampan x [OPTIONS]\n\nRun 'sampan x --help' for more information")


@pytest.mark.parametrize(
    ("words", "given", "complaint"),
    [
        ((0, 0), "a", "accepts no arguments"),
        ((1, None), "", "requires at least 1 argument"),
        ((2, None), "a", "requires at least 2 arguments"),
        ((2, 2), "a", "requires 2 arguments"),
        ((1, 1), "a b", "requires 1 argument"),
        ((0, 1), "a b", "requires at most 1 argument"),
        ((1, 2), "", "requires at least 1 and at most 2 arguments"),
    ],
)
def test_number_of_words(words: tuple[int, int | None], given: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command(command(words), "x", given.split())
    assert caught.value.message == f"sampan: 'sampan x' {complaint}"
    assert caught.value.code == 1


@pytest.mark.parametrize("line", ["--help", "-h", "a --help", "--all --help"])
def test_help(line: str) -> None:
    with pytest.raises(HelpWanted):
        parse_command(command(), "x", line.split())


def test_a_refused_flag_at_its_default_is_no_fault() -> None:
    assert parse_command(command(), "x", ["--tree=false"]).flag("tree") is False
