"""RUN, CMD, ENTRYPOINT, SHELL and HEALTHCHECK: commands as a list of arguments or as text for a shell."""

from collections.abc import Sequence

from sampan.dockerfile.durations import parse_duration
from sampan.dockerfile.faults import DockerfileError, ParseError, quoted
from sampan.dockerfile.flags import Flags, known
from sampan.dockerfile.heredocs import Heredoc
from sampan.dockerfile.instructions import Command, HealthCheck, Run, Written
from sampan.dockerfile.mounts import mount_origin
from sampan.dockerfile.script import SPACE
from sampan.dockerfile.statement import Statement, json_words

_RUN = known(["network", "security"], lists=["mount"])
_HEALTH_CHECK = known(["interval", "timeout", "start-period", "start-interval", "retries"])
_SHORTEST = 10**6
_RETRIES = (1 << 31) - 1


def command_of(statement: Statement, start: int = 0, heredocs: Sequence[Heredoc] = ()) -> Command:
    """The command that the rest is from `start` on; without words where there is nothing."""
    text = statement.rest[start:]
    at = statement.place(start, len(statement.rest))
    array = json_words(statement, text, start)
    if array is not None:
        return Command(array, for_shell=False, at=at)
    return Command((text,) if text else (), for_shell=True, at=at, heredocs=tuple(heredocs))


def words_of_array(statement: Statement) -> tuple[str, ...]:
    """SHELL's argument, which must be an array. Raises ParseError."""
    name = statement.keyword.upper()
    command = command_of(statement)
    if not command.words:
        raise statement.fault(f"{name} requires at least one argument")
    if command.for_shell:
        raise statement.fault(f"{name} requires the arguments to be in JSON form", 0)
    return command.words


def read_run(statement: Statement, written: Written, heredocs: Sequence[Heredoc]) -> Run:
    """RUN with its flags. Raises ParseError."""
    flags = Flags(statement.flags, _RUN)
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    for word in flags.words("mount"):
        try:
            mount_origin(word.text)
        except DockerfileError as error:
            raise ParseError(error.message, word.at) from None
    # What is not known is refused here, once: a mode taken for another would take the fence away (CVE-2024-23653).
    if network not in ("default", "none", "host"):
        raise ParseError(f"invalid network mode {quoted(network)}", flags.place("network"))
    if security not in ("insecure", "sandbox"):
        raise ParseError(f"security {quoted(security)} is not valid", flags.place("security"))
    command = command_of(statement, heredocs=heredocs)
    return Run(written=written, command=command, mounts=flags.words("mount"), network=network, security=security)


def read_health_check(statement: Statement, written: Written) -> HealthCheck:
    """HEALTHCHECK with its flags. Raises ParseError."""
    text = statement.rest
    if not text:
        raise statement.fault("HEALTHCHECK requires at least one argument")
    end = next((index for index, char in enumerate(text) if char in SPACE), len(text))
    start = next((index for index in range(end, len(text)) if text[index] not in SPACE), len(text))
    kind = text[:end].upper()
    if kind == "NONE":
        if start < len(text):
            raise statement.fault("HEALTHCHECK NONE takes no arguments", start)
        return HealthCheck(written=written, command=None)
    flags = Flags(statement.flags, _HEALTH_CHECK)
    if kind != "CMD":
        raise statement.fault(f"Unknown type {quoted(kind)} in HEALTHCHECK (try CMD)", 0, end)
    command = command_of(statement, start)
    if not command.words:
        raise statement.fault("Missing command after HEALTHCHECK CMD")
    return HealthCheck(
        written=written,
        command=command,
        interval=_time(flags, "interval"),
        timeout=_time(flags, "timeout"),
        start_period=_time(flags, "start-period"),
        start_interval=_time(flags, "start-interval"),
        retries=_retries(flags),
    )


def _time(flags: Flags, name: str) -> int:
    word = flags.word(name)
    if word is None or not word.text:
        return 0
    try:
        nanoseconds = parse_duration(word.text)
    except ValueError as error:
        raise ParseError(str(error), word.at) from None
    if nanoseconds != 0 and nanoseconds < _SHORTEST:
        raise ParseError(f"Interval {quoted(name)} cannot be less than 1ms", word.at)
    return nanoseconds


def _retries(flags: Flags) -> int:
    word = flags.word("retries")
    if word is None or not word.text:
        return 0
    digits = word.text[1:] if word.text[0] in "+-" else word.text
    if not (digits.isascii() and digits.isdecimal()):
        raise ParseError(f"strconv.ParseInt: parsing {quoted(word.text)}: invalid syntax", word.at)
    if len(digits) > 20 or int(digits) > _RETRIES:
        raise ParseError(f"strconv.ParseInt: parsing {quoted(word.text)}: value out of range", word.at)
    number = int(word.text)
    if number < 0:
        raise ParseError(f"--retries cannot be negative ({number})", word.at)
    return number
