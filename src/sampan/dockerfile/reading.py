"""One statement becomes one instruction: what arguments and flags each keyword takes, refused in BuildKit's words."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sampan.dockerfile import instructions as tree
from sampan.dockerfile.commands import command_of, read_health_check, read_run, words_of_array
from sampan.dockerfile.faults import DockerfileError, ParseError, Range, quoted, suggestion
from sampan.dockerfile.flags import Flags, known
from sampan.dockerfile.heredocs import Heredoc, parse_mark
from sampan.dockerfile.instructions import Definition, Instruction, Pair, Word, Written
from sampan.dockerfile.statement import Statement, json_words, pairs, quoted_words, spaced_words, take_apart

_STAGE = re.compile(r"[a-z][a-z0-9\-_.]*")
_COPY = known(["chown", "from", "chmod"], ["link", "parents"], ["exclude"])
_ADD = known(["chown", "chmod", "checksum"], ["link", "keep-git-dir", "unpack"], ["exclude"])


class _Paths(NamedTuple):
    paths: tuple[Word, ...]
    documents: tuple[Heredoc, ...]
    destination: Word


def read_instruction(statement: Statement, heredocs: Sequence[Heredoc], escape: str) -> Instruction:
    """The instruction of a statement whose heredocs have been read. Raises ParseError."""
    line = statement.line
    at = line.whole
    if heredocs:
        at = Range(at.start, heredocs[-1].at.end)
    reader = READERS.get(statement.keyword.upper())
    if reader is None:
        known_words = suggestion(statement.keyword, READERS, case_matters=False)
        where = line.range(0, len(statement.keyword))
        raise ParseError(f"unknown instruction: {statement.keyword}{known_words}", where)
    written = Written(statement.keyword, line.text.strip(), at, line.comments, statement.flags)
    return reader(statement, written, heredocs, escape)


def _no_flags(statement: Statement) -> None:
    Flags(statement.flags, {})


def _one_word(statement: Statement) -> Word:
    if not statement.rest:
        raise statement.fault(f"{statement.keyword.upper()} requires exactly one argument")
    _no_flags(statement)
    return statement.word()


def _some(statement: Statement, words: Sequence[object]) -> None:
    if not words:
        raise statement.fault(f"{statement.keyword.upper()} requires at least one argument")
    _no_flags(statement)


def _from(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    words = spaced_words(statement)
    stage = ""
    if len(words) == 3 and words[1].text.lower() == "as":
        stage = words[2].text.lower()
        if _STAGE.fullmatch(stage) is None:
            message = f"invalid name for build stage: {quoted(words[2].text)}, name can't start with a number or contain symbols"
            raise ParseError(message, words[2].at)
    elif len(words) != 1:
        raise statement.fault("FROM requires either one or three arguments")
    flags = Flags(statement.flags, known(["platform"]))
    return tree.From(
        written=written,
        base=words[0],
        stage=stage,
        as_keyword=words[1].text if stage else "",
        stage_written=words[2].text if stage else "",
        platform=flags.text("platform"),
    )


def _arg(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], escape: str) -> Instruction:
    words = quoted_words(statement, escape)
    if not words:
        raise statement.fault("ARG requires at least one argument")
    definitions = []
    for word in words:
        name, equals, default = word.text.partition("=")
        if not name:
            raise ParseError("ARG names can not be blank", word.at)
        definitions.append(Definition(name, default if equals else None, word.at))
    return tree.Arg(written=written, definitions=tuple(definitions))


def _named_pairs(statement: Statement, escape: str) -> tuple[Pair, ...]:
    found = pairs(statement, escape)
    _no_flags(statement)
    _some(statement, found)
    for pair in found:
        if not pair.name:
            raise ParseError(f"{statement.keyword.upper()} names can not be blank", pair.at)
    return tuple(found)


def _env(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], escape: str) -> Instruction:
    return tree.Env(written=written, pairs=_named_pairs(statement, escape))


def _label(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], escape: str) -> Instruction:
    return tree.Label(written=written, pairs=_named_pairs(statement, escape))


def _maintainer(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return tree.Maintainer(written=written, author=_one_word(statement).text)


def _listed(statement: Statement) -> list[Word]:
    """A JSON array's strings, or words between blanks."""
    array = json_words(statement, statement.rest, 0)
    if array is None:
        return spaced_words(statement) if statement.rest else []
    whole = statement.place(0, len(statement.rest))
    return [Word(text, whole) for text in array]


def _paths(statement: Statement, heredocs: Sequence[Heredoc]) -> _Paths:
    name = statement.keyword.upper()
    words = _listed(statement)
    if len(words) < 2:
        message = "requires at least two arguments, but only one was provided. Destination could not be determined"
        raise statement.fault(f"{name} {message}")
    if _is_heredoc(words[-1].text):
        raise ParseError(f"{name} cannot accept a heredoc as a destination", words[-1].at)
    paths = tuple(word for word in words[:-1] if not (heredocs and _is_heredoc(word.text)))
    return _Paths(paths, tuple(heredocs), words[-1])


def _is_heredoc(word: str) -> bool:
    try:
        return parse_mark(word) is not None
    except DockerfileError:
        return False


def _copy(statement: Statement, written: Written, heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    paths, documents, destination = _paths(statement, heredocs)
    flags = Flags(statement.flags, _COPY)
    return tree.Copy(
        written=written,
        paths=paths,
        documents=documents,
        destination=destination,
        source=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        parents=bool(flags.switch("parents")),
        excludes=tuple(word.text for word in flags.words("exclude")),
    )


def _add(statement: Statement, written: Written, heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    paths, documents, destination = _paths(statement, heredocs)
    flags = Flags(statement.flags, _ADD)
    return tree.Add(
        written=written,
        paths=paths,
        documents=documents,
        destination=destination,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        excludes=tuple(word.text for word in flags.words("exclude")),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


def _run(statement: Statement, written: Written, heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return read_run(statement, written, heredocs)


def _cmd(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    _no_flags(statement)
    return tree.Cmd(written=written, command=command_of(statement))


def _entrypoint(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    _no_flags(statement)
    return tree.Entrypoint(written=written, command=command_of(statement))


def _shell(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    _no_flags(statement)
    return tree.Shell(written=written, words=words_of_array(statement))


def _health_check(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return read_health_check(statement, written)


def _expose(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    words = spaced_words(statement) if statement.rest else []
    _some(statement, words)
    return tree.Expose(written=written, ports=tuple(words))


def _volume(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    words = _listed(statement)
    _some(statement, words)
    for word in words:
        if not word.text.strip():
            raise ParseError("VOLUME specified can not be an empty string", word.at)
    return tree.Volume(written=written, paths=tuple(Word(word.text.strip(), word.at) for word in words))


def _user(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return tree.User(written=written, user=_one_word(statement))


def _work_dir(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return tree.WorkDir(written=written, path=_one_word(statement))


def _stop_signal(statement: Statement, written: Written, _heredocs: Sequence[Heredoc], _escape: str) -> Instruction:
    return tree.StopSignal(written=written, signal=_one_word(statement))


def _on_build(statement: Statement, written: Written, heredocs: Sequence[Heredoc], escape: str) -> Instruction:
    _some(statement, statement.rest)
    inner = take_apart(statement.line, escape, statement.offset)
    name = inner.keyword.upper()
    if name == "ONBUILD":
        raise statement.fault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", 0)
    if name in ("MAINTAINER", "FROM"):
        raise statement.fault(f"{name} isn't allowed as an ONBUILD trigger", 0, len(inner.keyword))
    _check_forms(inner, escape)
    bodies = "".join(f"\n{heredoc.body}{heredoc.mark.name}" for heredoc in heredocs)
    return tree.OnBuild(written=written, trigger=statement.rest + bodies)


def _check_forms(trigger: Statement, escape: str) -> None:
    """Of a trigger only the forms are read; its meaning is read when it is pulled."""
    if trigger.keyword.upper() in ("ENV", "LABEL"):
        pairs(trigger, escape)
    elif trigger.keyword.upper() in ("ADD", "COPY", "CMD", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"):
        json_words(trigger, trigger.rest, 0)


Reader = Callable[[Statement, Written, Sequence[Heredoc], str], Instruction]

READERS: dict[str, Reader] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _work_dir,
}
