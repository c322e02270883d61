import pytest

from sampan.dockerfile.checks import Circumstances, Report, check
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.ignore import Ignore
from sampan.dockerfile.parse import parse
from sampan.dockerfile.rules import RULES, Switches
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES

BASES = {"known": ImageConfig(env=["JAVA_HOME=/opt/java", "PATH=/bin"])}


def report(text: str, ignore: list[str] | None = None, target: str = "", **given: str) -> Report:
    patterns = None if ignore is None else Ignore(ignore)
    circumstances = Circumstances(MACHINES, bool, BASES.get, given, target, patterns)
    return check(parse(text), circumstances)


def rules(text: str, ignore: list[str] | None = None, target: str = "", **given: str) -> list[str]:
    return [finding.rule for finding in report(text, ignore, target, **given).findings]


def test_a_variable_is_undefined_only_where_the_base_is_known() -> None:
    assert rules("FROM unknown\nENV A=$NOPE") == []
    assert rules("FROM known\nENV A=$NOPE") == ["UndefinedVar"]
    assert rules("FROM known\nENV A=$JAVA_HOME\nARG B\nENV C=$B") == []
    message = report("FROM known\nENV A=$JAVAHOME").findings[0].message
    assert message == "Usage of undefined variable '$JAVAHOME' (did you mean $JAVA_HOME?)"


def test_a_stage_inherits_what_is_known() -> None:
    assert rules("FROM known AS a\nENV B=1\nFROM a\nENV C=$B D=$E") == ["UndefinedVar"]
    assert rules("FROM known AS a\nWORKDIR /x\nFROM a\nWORKDIR y") == []


@pytest.mark.parametrize(
    ("copy", "ignore", "expected"),
    [
        ("COPY a /", ["a"], ["CopyIgnoredFile"]),
        ("ADD ./a/ /", ["a"], ["CopyIgnoredFile"]),
        ("COPY a/b /", ["a"], ["CopyIgnoredFile"]),
        ("COPY a /", ["b"], []),
        ("COPY a /", ["a", "!a/b"], []),
        ("COPY --from=image a /", ["a"], []),
        ("COPY . /", ["a"], []),
        ("COPY . /", ["**"], ["CopyIgnoredFile"]),
    ],
)
def test_ignored_files(copy: str, ignore: list[str], expected: list[str]) -> None:
    assert rules(f"FROM scratch\n{copy}", ignore) == expected


def test_only_what_the_target_needs_is_gone_through() -> None:
    text = "FROM known AS a\nENV A=$X\nFROM known AS b\nENV A=$X\nFROM a AS c"
    assert [finding.at.start.line for finding in report(text, target="c").findings] == [2]
    assert rules(text) == ["UndefinedVar", "UndefinedVar"]
    with pytest.raises(DockerfileError, match=r'target stage "bb" could not be found \(did you mean b\?\)'):
        raise report(text, target="bb").error or AssertionError
    assert rules(text, target="1") == ["UndefinedVar"]


def test_arguments_that_are_given_count() -> None:
    text = "ARG BASE=known\nFROM $BASE\nENV A=$NOPE"
    assert rules(text) == ["UndefinedVar"]
    assert rules(text, BASE="unknown") == []
    assert rules("FROM scratch\nMAINTAINER x", BUILDKIT_DOCKERFILE_CHECK="skip=MaintainerDeprecated") == []


def test_errors_are_told_beside_findings() -> None:
    found = report("FROM known as a\nCOPY --from=9 x y")
    assert [finding.rule for finding in found.findings] == ["FromAsCasing"]
    assert found.error is not None
    assert found.error.message == "invalid stage index 9"


def test_switches() -> None:
    switches = Switches.parse("skip=A, B;experimental=C;error=true")
    assert [switches.count(rule) for rule in ("A", "B", "D")] == [False, False, True]
    assert switches.error
    assert not Switches.parse("").count("InvalidDefinitionDescription")
    assert Switches.parse("experimental=InvalidDefinitionDescription").count("InvalidDefinitionDescription")
    assert not Switches.parse("").with_comments(("x", "check=skip=A")).count("A")
    assert Switches.parse("").with_comments(("check=nonsense",)).count("A")


def test_every_rule_is_found_somewhere() -> None:
    text = (
        "# check=experimental=all\nFROM --platform=linux/amd64 a as X\nMAINTAINER m\nENV TOKEN t\nEXPOSE 1:1/TCP\nRUN a \\\n\n b\n"
        "WORKDIR w\ncmd a\nCMD b\n# no\nARG n\nFROM --platform=$TARGETPLATFORM scratch AS x\nENV A=$B\nCOPY i /\n"
        "FROM a$Q AS context\n"
    )
    found = set(rules(text, ["i"])) | set(rules("ARG N\nFROM $N", N="a"))
    assert set(RULES) - found == set()
