"""A command line, read as pflag reads it (docker's own flag library): the same spellings pass, the same messages refuse."""

from __future__ import annotations

from sampan.cli.failures import PROGRAM, UsageError
from sampan.cli.options import HELP, REPEATABLE, Command, Option, Parsed
from sampan.cli.values import convert

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Value


class HelpWanted(Exception):
    """`--help` was on the line."""


class _Reader:
    """The state of one pass over the words."""

    def __init__(self, options: tuple[Option, ...], path: str, usage: str) -> None:
        self.by_name = {option.name: option for option in (*options, HELP)}
        self.by_name.update({option.also: option for option in options if option.also})
        self.by_short = {option.short: option for option in self.by_name.values() if option.short}
        self.path = path
        self.usage = usage
        self.values: dict[str, Value] = {}

    def fail(self, message: str) -> UsageError:
        return UsageError(message, self.path, self.usage)

    def long(self, word: str, rest: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise self.fail(f"bad flag syntax: {word}")
        option = self.by_name.get(name)
        if option is None:
            raise self.fail(f"unknown flag: --{name}")
        if equals:
            self.put(option, value)
        elif option.kind == "bool":
            self.put(option, "true")
        elif rest:
            self.put(option, rest.pop(0))
        else:
            raise self.fail(f"flag needs an argument: --{name}")

    def short(self, word: str, rest: list[str]) -> None:
        letters = word[1:]
        while letters:
            letter, tail = letters[0], letters[1:]
            option = self.by_short.get(letter)
            if option is None:
                if letter == "h":
                    raise HelpWanted
                raise self.fail(f"unknown shorthand flag: {letter!r} in -{letters}")
            if tail.startswith("=") and len(tail) > 1:
                self.put(option, tail[1:])
            elif option.kind == "bool":
                self.put(option, "true")
                letters = tail
                continue
            elif tail:
                self.put(option, tail)
            elif rest:
                self.put(option, rest.pop(0))
            else:
                raise self.fail(f"flag needs an argument: {letter!r} in -{letters}")
            return

    def put(self, option: Option, text: str) -> None:
        try:
            value = convert(option.check or option.kind, text)
        except ValueError as error:
            raise self.fail(f'invalid argument "{text}" for "{option.shown}" flag: {error}') from error
        if option is HELP and value:
            raise HelpWanted
        if option.refused and value != option.default:
            raise UsageError(f"{PROGRAM}: --{option.name} is not implemented: {option.refused}", self.path, self.usage)
        if option.kind in REPEATABLE:
            held = self.values.setdefault(option.name, [])
            assert isinstance(held, list)
            held.extend(value if isinstance(value, list) else [value])
        elif not isinstance(value, (dict, list, float)) and value is not None:
            self.values[option.name] = value


def parse_options(
    options: tuple[Option, ...], words: list[str], path: str, usage: str, interspersed: bool
) -> tuple[dict[str, Value], list[str]]:
    """Option values and the remaining words. UsageError for what is wrong, HelpWanted for --help."""
    reader = _Reader(options, path, usage)
    rest = list(words)
    plain: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            return reader.values, plain + rest
        if len(word) > 1 and word.startswith("--"):
            reader.long(word, rest)
        elif len(word) > 1 and word.startswith("-"):
            reader.short(word, rest)
        else:
            plain.append(word)
            if not interspersed:
                return reader.values, plain + rest
    return reader.values, plain


def parse_command(command: Command, path: str, words: list[str]) -> Parsed:
    """The parsed line of `command`, the number of its words checked."""
    values, plain = parse_options(command.options, words, path, command.usage, command.interspersed)
    wrong = _count_complaint(command, len(plain))
    if wrong:
        see = "See" if command.at_most is None else "Run"
        raise UsageError(f"{PROGRAM}: '{PROGRAM} {path}' {wrong}", path, command.usage, code=1, see=see)
    return Parsed(command, path, values, plain)


def _count_complaint(command: Command, count: int) -> str:
    least, most = command.at_least, command.at_most
    if count >= least and (most is None or count <= most):
        return ""
    if most == 0:
        return "accepts no arguments"
    if most is None:
        return f"requires at least {least} {_arguments(least)}"
    if least == most:
        return f"requires {least} {_arguments(least)}"
    if least == 0:
        return f"requires at most {most} {_arguments(most)}"
    return f"requires at least {least} and at most {most} {_arguments(most)}"


def _arguments(count: int) -> str:
    return "argument" if count == 1 else "arguments"
