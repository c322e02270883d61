"""`build --check`: read a Dockerfile and say what is wrong or doubtful in it. Nothing is built, no daemon is asked."""

from __future__ import annotations

import os
import sys

from sampan.cli.build.context import compiled, default_file, find_ignore, read_limited
from sampan.cli.failures import Exit
from sampan.cli.output.excerpt import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.dockerfile.checks import Report
    from sampan.dockerfile.faults import DockerfileError
    from sampan.dockerfile.ignore import Ignore


def check_dockerfile(session: Session, parsed: Parsed) -> int:
    """1 where something was found, as docker's command has it; Exit 1 where it is wrong."""
    from sampan.dockerfile.faults import DockerfileError

    name, text = _dockerfile(parsed)
    try:
        report = _report(parsed, text)
    except DockerfileError as error:
        raise Exit(1, _shown(error, name, text)) from error
    if report.error is None:
        session.say(_summary(report))
    for finding in report.findings:
        start, end = finding.at
        session.say(f"\nWARNING: {finding.rule}\n{finding.message}")
        session.say(excerpt(name, text, start.line, end.line, start.column))
    if report.error is not None:
        raise Exit(1, _shown(report.error, name, text))
    if report.refuses:
        rules = ", ".join(sorted({finding.rule for finding in report.findings}))
        raise Exit(1, f"ERROR: lint violation found for rules: {rules}")
    return 1 if report.findings else 0


def _summary(report: Report) -> str:
    count = len(report.findings)
    if not count:
        return "Check complete, no warnings found."
    return f"Check complete, {count} {'warning has' if count == 1 else 'warnings have'} been found!"


def _shown(error: DockerfileError, name: str, text: str) -> str:
    if error.at is None:
        return f"ERROR: {error}"
    start, end = error.at
    return f"ERROR: {error}\n{excerpt(name, text, start.line, end.line, start.column)}"


def _dockerfile(parsed: Parsed) -> tuple[str, str]:
    """Its name, for messages, and its text."""
    from sampan.dockerfile.parse import decode
    from sampan.dockerfile.script import SIZE_LIMIT

    given = parsed.text("file")
    if given == "-" or parsed.words[0] == "-":
        return "Dockerfile", decode(sys.stdin.buffer.read(SIZE_LIMIT + 1))
    path = given or default_file(parsed.words[0])
    return os.path.basename(path), decode(read_limited(path, "the Dockerfile"))


def _report(parsed: Parsed, text: str) -> Report:
    from sampan.dockerfile.arguments import Machines
    from sampan.dockerfile.checks import Circumstances, check
    from sampan.dockerfile.parse import parse
    from sampan.images.platforms import machine_architecture
    from sampan.spec.oci_image import Platform

    here = Platform(os="linux", architecture=machine_architecture())
    circumstances = Circumstances(
        machines=Machines(here, here),
        is_reference=_is_reference,
        base=lambda _: None,
        given=_arguments(parsed),
        target=parsed.text("target"),
        ignore=_ignore(parsed.words[0], parsed.text("file") or default_file(parsed.words[0])),
    )
    return check(parse(text), circumstances)


def _is_reference(text: str) -> bool:
    from sampan.errors import InvalidParameter
    from sampan.images.references import parse_reference

    try:
        parse_reference(text)
    except InvalidParameter:
        return False
    return True


def _arguments(parsed: Parsed) -> Mapping[str, str]:
    """`name=value`, or a bare name, which takes its value from the environment and counts only where there is one."""
    found: dict[str, str] = {}
    for word in parsed.many("build-arg"):
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def _ignore(context: str, dockerfile: str) -> Ignore | None:
    """The patterns that are in force in the context, of the Dockerfile's own file or the common one."""
    path = find_ignore(context, dockerfile)
    return compiled(path, read_limited(path, path)) if path else None
