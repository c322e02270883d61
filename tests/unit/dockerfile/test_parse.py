import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sampan.dockerfile.checks import Circumstances, check
from sampan.dockerfile.faults import DockerfileError, ParseError
from sampan.dockerfile.instructions import Copy, Run
from sampan.dockerfile.parse import decode, parse
from sampan.dockerfile.script import LINE_LIMIT, SIZE_LIMIT
from tests.golden.rendering import MACHINES

CIRCUMSTANCES = Circumstances(MACHINES, lambda _: True, lambda _: None)

PIECES = st.sampled_from(
    [
        *"FROM RUN COPY ADD ENV ARG LABEL ONBUILD CMD SHELL HEALTHCHECK EXPOSE VOLUME USER WORKDIR STOPSIGNAL".split(),
        *"scratch a b AS --from=a --mount=type=cache,target=/x --x <<EOF <<-'EOF' EOF \\ ` $A ${A:-$B} ${A//*/} = A=b".split(),
        *[
            '["x"]',
            '["x",',
            '"',
            "'",
            "#",
            "# escape=`",
            "\n",
            "\n",
            "\n",
            " ",
            "\t",
            "\r\n",
            "\ufeff",
            "\0",
            "é",
            "NONE",
            "80",
        ],
    ]
)


@settings(max_examples=400, deadline=2000)
@given(st.lists(PIECES, max_size=40).map(" ".join) | st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200))
@example("FROM a\nCOPY <<EOF /\nEOF")
def test_any_text_is_a_dockerfile_or_refused(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        check(parse(text), CIRCUMSTANCES)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_places_lie_in_the_file(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        dockerfile = parse(text)
        lines = text.split("\n")
        for stage in dockerfile.stages:
            for instruction in (stage.start, *stage.instructions):
                start, end = instruction.at
                assert 1 <= start.line <= end.line <= len(lines)
                assert lines[start.line - 1][start.column - 1 :][:1].lower() in ("", "\\", instruction.name[0].lower())
                assert end.column - 1 <= len(lines[end.line - 1])


@given(st.binary(max_size=200))
def test_any_bytes_are_text(data: bytes) -> None:
    decode(data).encode()


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN " + "\\\n" * 100_000,
        "FROM a\n" + "RUN x\n" * 20_000,
        "FROM a\nENV " + "A=$A$A$A$A " * 4_000,
        "FROM a\nENV A=" + "${A:-" * 10_000,
        "FROM a\nCOPY " + "<<E " * 10_000 + "/x",
        "FROM a\nRUN " + "[" * 60_000,
        "FROM a\nCMD " + "\\ " * 30_000,
        "FROM a\n" + "ENV A=aaaaaaaa$A$A\n" * 60,
        "\n".join(f"FROM a AS s{index}\nCOPY --from=s{index + 1} / /" for index in range(1000)),
        "\n".join(f"FROM {'a' if not index else f's{index - 1}'} AS s{index}" for index in range(1000)),
        "FROM a\nEXPOSE " + "1-65535 " * 3,
        "FROM a\nENV A=" + "a" * 60_000 + "\nENV B=${A//" + "*a" * 100 + "b/}",
        "# " + "escape" * 10_000 + "\nFROM a",
    ],
)
def test_nothing_takes_long(text: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(DockerfileError):
        check(parse(text), CIRCUMSTANCES)
    assert time.monotonic() - began < 20


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(ParseError, match="dockerfile line greater than max allowed size of 65535"):
        parse("FROM a\nRUN " + "x" * LINE_LIMIT)
    with pytest.raises(ParseError, match="the Dockerfile is larger than"):
        decode(b"x" * (SIZE_LIMIT + 1))
    with pytest.raises(ParseError, match="the Dockerfile is larger than"):
        parse("x\n" * SIZE_LIMIT)
    with pytest.raises(ParseError, match="line 3001: more than 3000 instructions"):
        parse("FROM a\n" + "RUN x\n" * 3000)
    report = check(parse("FROM a\nENV " + " ".join(f"A{number}=x" for number in range(4097))), CIRCUMSTANCES)
    assert report.error is not None
    assert "more than 4096 entries" in report.error.message


def test_half_a_character_does_not_come_out_of_json() -> None:
    run = parse('FROM a\nRUN ["\\ud800"]').stages[0].instructions[0]
    assert isinstance(run, Run)
    assert run.command.words == ("\ufffd",)


def test_a_heredoc_without_tabs_has_none() -> None:
    copy = parse("FROM a\nCOPY <<-E /x\n\t\tone\n\t two\t\n\tE\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.documents[0].content == "one\n two\t\n"
    assert copy.documents[0].body == "\t\tone\n\t two\t\n"
