"""`build --check`: read a Dockerfile and say what is wrong or doubtful in it. Nothing is built, no daemon is asked."""

from __future__ import annotations

import os
import sys

from sampan.cli.failures import PROGRAM, Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.excerpt import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.dockerfile.checks import Report
    from sampan.dockerfile.faults import DockerfileError
    from sampan.dockerfile.ignore import Ignore

_LATER = "is not implemented yet; build --check reads a Dockerfile and tells what is wrong with it"


def _build(session: Session, parsed: Parsed) -> int:
    """Exit 1 where something was found, as docker's command does."""
    if not parsed.flag("check"):
        raise Exit(1, f"{PROGRAM}: building images {_LATER}")
    from sampan.dockerfile.faults import DockerfileError

    name, text = _dockerfile(parsed)
    try:
        report = _report(parsed, name, text)
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
    path = given or os.path.join(parsed.words[0], "Dockerfile")
    return os.path.basename(path), decode(_read(path, SIZE_LIMIT + 1))


def _read(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise Exit(1, f"ERROR: failed to read dockerfile: open {path}: {error.strerror}") from error


def _report(parsed: Parsed, name: str, text: str) -> Report:
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
        ignore=_ignore(parsed.words[0], parsed.text("file") or name),
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
    from sampan.dockerfile.ignore import BadIgnore, Ignore, ignore_names, read_patterns
    from sampan.dockerfile.script import SIZE_LIMIT

    own, common = ignore_names(dockerfile)
    paths = (own if dockerfile != "Dockerfile" else os.path.join(context, own), os.path.join(context, common))
    path = next((path for path in paths if os.path.isfile(path)), None)
    if path is None:
        return None
    try:
        return Ignore(read_patterns(_read(path, SIZE_LIMIT).decode("utf-8", "replace")))
    except BadIgnore as error:
        raise Exit(1, f"ERROR: {path}: {error}") from error


def _later(name: str, kind: str, text: str, short: str = "", default: bool = False) -> Option:
    return Option(name, kind, text, short, default=default, refused="images are not built yet")


BUILD = Command(
    "[OPTIONS] PATH | -",
    "Check a Dockerfile (building is not implemented yet)",
    _build,
    (
        _later("add-host", "list", "Another name for /etc/hosts: NAME:ADDRESS"),
        Option("build-arg", "list", "Value of an ARG: NAME=VALUE, or NAME for the environment's"),
        _later("cache-from", "strings", "Images whose steps may be taken over"),
        _later("cgroup-parent", "string", "Control group of the steps"),
        Option("check", "bool", "Read the Dockerfile and tell what is wrong or doubtful; build nothing"),
        _later("compress", "bool", "Send the context compressed"),
        _later("cpu-period", "int64", "Period of the CPU quota"),
        _later("cpu-quota", "int64", "CPU time of a period"),
        _later("cpu-shares", "int64", "Weight against others", "c"),
        _later("cpuset-cpus", "string", "CPUs the steps may run on"),
        _later("cpuset-mems", "string", "Memory nodes of the steps"),
        _later("disable-content-trust", "bool", "Check no signatures", default=True),
        Option(
            "file", "string", "The Dockerfile (default: PATH/Dockerfile; - is standard input)", "f", completes="file"
        ),
        _later("force-rm", "bool", "Remove the containers of failed steps, too"),
        _later("iidfile", "string", "Write the image's id to this file"),
        _later("isolation", "string", "Windows only"),
        _later("label", "list", "A label of the image"),
        _later("memory", "bytes", "Memory of a step", "m"),
        _later("memory-swap", "bytes", "Memory and swap of a step"),
        _later("network", "string", "Network of the steps"),
        _later("no-cache", "bool", "Run every step"),
        _later("platform", "string", "Platform to build for"),
        _later("pull", "bool", "Ask for newer base images"),
        _later("quiet", "bool", "Print the image's id and nothing else", "q"),
        _later("rm", "bool", "Remove the containers of the steps", default=True),
        _later("security-opt", "strings", "Security options of the steps"),
        _later("shm-size", "bytes", "Size of /dev/shm"),
        _later("squash", "bool", "Make one layer of the new ones"),
        _later("tag", "list", "A name for the image", "t"),
        Option("target", "string", "Check only what this stage needs"),
        _later("ulimit", "string", "Resource limits of the steps"),
    ),
    words=(1, 1),
    completes="file",
    examples=("build --check .", "build --check -f docker/Dockerfile.test ."),
)
