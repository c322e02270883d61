"""Text becomes a Dockerfile: its logical lines, read one by one, gathered into stages."""

from collections.abc import Iterator

from sampan.dockerfile.faults import DockerfileError, ParseError, Range
from sampan.dockerfile.heredocs import Heredoc, announced
from sampan.dockerfile.instructions import Arg, Dockerfile, From, Instruction, Stage
from sampan.dockerfile.reading import read_instruction
from sampan.dockerfile.script import SIZE_LIMIT, Script
from sampan.dockerfile.statement import Statement, json_words, take_apart

INSTRUCTION_LIMIT = 3000
_WITH_HEREDOCS = ("ADD", "COPY", "RUN")


def decode(data: bytes) -> str:
    """A file's bytes as text; what is no UTF-8 becomes U+FFFD. Raises ParseError where it is too large."""
    if len(data) > SIZE_LIMIT:
        raise ParseError(f"the Dockerfile is larger than {SIZE_LIMIT} bytes")
    return data.decode("utf-8", "replace")


def parse(text: str) -> Dockerfile:
    """The Dockerfile that `text` is. Raises ParseError, with the place."""
    if not text:
        raise ParseError("the Dockerfile cannot be empty")
    script = Script(text)
    blanks: list[Range] = []
    arguments: list[Arg] = []
    stages: list[Stage] = []
    body: list[Instruction] = []
    for instruction in instructions(script, blanks):
        if isinstance(instruction, From):
            _close(stages, body)
            stages.append(Stage(len(stages), instruction, ()))
            body = []
        elif stages:
            body.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise ParseError("no build stage in current context", instruction.at)
    _close(stages, body)
    if not stages:
        raise ParseError("dockerfile contains no stages to build" if arguments else "file with no instructions")
    return Dockerfile(tuple(script.directives), script.escape, tuple(arguments), tuple(stages), tuple(blanks))


def instructions(script: Script, blanks: list[Range] | None = None) -> Iterator[Instruction]:
    """The instructions of a script in their order; places of blank continuations go to `blanks`. Raises ParseError."""
    for number, line in enumerate(script):
        if number == INSTRUCTION_LIMIT:
            raise ParseError(f"more than {INSTRUCTION_LIMIT} instructions", line.whole)
        if line.blank is not None and blanks is not None:
            blanks.append(line.blank)
        statement = take_apart(line, script.escape)
        yield read_instruction(statement, _heredocs(statement, script), script.escape)


def _close(stages: list[Stage], body: list[Instruction]) -> None:
    if stages:
        last = stages.pop()
        stages.append(Stage(last.index, last.start, tuple(body)))


def _heredocs(statement: Statement, script: Script) -> list[Heredoc]:
    if "<<" not in statement.rest:
        return []
    inner = statement
    if statement.keyword.upper() == "ONBUILD":
        inner = take_apart(statement.line, script.escape, statement.offset)
    if inner.keyword.upper() not in _WITH_HEREDOCS or json_words(inner, inner.rest, 0) is not None:
        return []
    try:
        marks = announced(inner.line.text)
    except DockerfileError as error:
        raise ParseError(error.message, inner.line.whole) from None
    return [Heredoc(mark, *script.heredoc(mark.name, mark.tabs_stripped, inner.line)) for mark in marks]
