"""Options as runc and its callers write them: `--name value`, `--name=value`, `-n value`; both dashes mean the same."""

from __future__ import annotations

from typing import NamedTuple

from sampan.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Option(NamedTuple):
    """One option. `value` is how its value is called in the help, "" for a switch; `many`: it may stand there more than once."""

    help: str
    value: str = ""
    short: str = ""
    many: bool = False


class Parsed:
    """What was given, by long names, and what is no option."""

    __slots__ = ("rest", "values")

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def flag(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "true"

    def text(self, name: str, default: str = "") -> str:
        """The last value."""
        return self.values[name][-1] if name in self.values else default

    def number(self, name: str) -> int | None:
        """The last value as a whole number, None where there is none. Raises InvalidParameter."""
        if name not in self.values:
            return None
        text = self.text(name)
        if not text.removeprefix("-").isdecimal() or len(text) > 20:
            raise InvalidParameter(f"--{name} {text[:40]!r} is no number")
        return int(text)

    def only(self, what: str) -> str:
        """The one word that is no option. Raises InvalidParameter."""
        if len(self.rest) != 1:
            raise InvalidParameter(f"exactly one argument is needed: {what}")
        return self.rest[0]


def parse(known: Mapping[str, Option], arguments: Sequence[str], *, stop: bool = False) -> Parsed:
    """With `stop` all from the first word that is no option on is the rest. Raises InvalidParameter."""
    short = {option.short: name for name, option in known.items() if option.short}
    parsed, words = Parsed(), list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            parsed.rest += words
            break
        if not word.startswith("-") or word == "-":
            parsed.rest.append(word)
            if stop:
                parsed.rest += words
                break
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = short.get(name, name)
        if name not in known:
            raise InvalidParameter(f"no such option: {word[:80]}")
        if not known[name].value:
            value = value if equals else "true"
            if value not in ("true", "false"):
                raise InvalidParameter(f"--{name} takes no value")
        elif not equals:
            if not words:
                raise InvalidParameter(f"--{name} needs a value")
            value = words.pop(0)
        parsed.values.setdefault(name, []).append(value)
    return parsed
