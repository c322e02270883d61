"""`sampand`'s command line, read as dockerd's is (`--flag value`, `--flag=value`, `-Dl debug`) from the table of options.

Written out instead of argparse: that takes abbreviations that dockerd does not, and 20 ms of the start.
"""

from sampan.daemon.options import BY_FLAG, BY_SHORT, Kind, Option
from sampan.errors import InvalidParameter

Value = str | bool | list[str]
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class CommandLine:
    """What was given: values by key of daemon.json, and what is a flag only."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.config_file: str | None = None
        self.validate = False
        self.insecure_tcp = False
        self.help = False
        self.version = False


_OWN_SWITCHES = {"validate": "validate", "insecure-tcp": "insecure_tcp", "help": "help", "version": "version"}
_OWN_SHORT = {"h": "help", "v": "version"}


def parse(arguments: list[str]) -> CommandLine:
    """The command line without the program's name. Raises InvalidParameter in dockerd's wording."""
    line = CommandLine()
    waiting = list(reversed(arguments))
    while waiting:
        word = waiting.pop()
        if word.startswith("--") and word != "--":
            _long(line, word[2:], waiting)
        elif word.startswith("-") and len(word) > 1 and word != "--":
            _short(line, word[1:], waiting)
        else:
            raise InvalidParameter(f'unknown command: "sampand {word}"')
    return line


def _long(line: CommandLine, text: str, waiting: list[str]) -> None:
    name, equals, value = text.partition("=")
    if name in _OWN_SWITCHES:
        setattr(line, _OWN_SWITCHES[name], _switch(name, value) if equals else True)
        return
    if name == "config-file":
        line.config_file = value if equals else _next(f"--{name}", waiting)
        return
    option = BY_FLAG.get(name)
    if option is None:
        raise InvalidParameter(f"unknown flag: --{name}")
    if option.kind is Kind.SWITCH:
        line.values[option.key] = _switch(name, value) if equals else True
    else:
        _take(line, option, value if equals else _next(f"--{name}", waiting))


def _short(line: CommandLine, letters: str, waiting: list[str]) -> None:
    for index, letter in enumerate(letters):
        if letter in _OWN_SHORT:
            setattr(line, _OWN_SHORT[letter], True)
            continue
        option = BY_SHORT.get(letter)
        if option is None:
            raise InvalidParameter(f"unknown shorthand flag: {letter!r} in -{letters}")
        if option.kind is Kind.SWITCH:
            line.values[option.key] = True
            continue
        rest = letters[index + 1 :].removeprefix("=")
        _take(line, option, rest or _next(f"{letter!r} in -{letters}", waiting))
        return


def _next(shown: str, waiting: list[str]) -> str:
    if not waiting:
        raise InvalidParameter(f"flag needs an argument: {shown}")
    return waiting.pop()


def _take(line: CommandLine, option: Option, value: str) -> None:
    if option.kind in (Kind.LIST, Kind.MAP):
        known = line.values.setdefault(option.key, [])
        assert isinstance(known, list)
        known.append(value)
    else:
        line.values[option.key] = value


def _switch(name: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidParameter(
        f'invalid argument "{value}" for "--{name}" flag: strconv.ParseBool: parsing "{value}": invalid syntax'
    )
