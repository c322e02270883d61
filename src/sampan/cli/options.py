"""What a command accepts, as data: the same table drives parsing, help, completion and the comparison with Docker's flags."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

    Value = bool | int | str | list[Json]

REPEATABLE = frozenset(("list", "map", "ulimit", "mount", "network", "filter", "strings", "context-endpoint"))


class Option:
    """One flag. `kind` is how its value reads (`values.CONVERTERS`), `check` a converter that is stricter than the kind.

    `refused` is why the flag is known and not accepted here; empty for one that works. A REPEATABLE kind collects a list.
    `also` is a second long name that works and is not shown. `completes` is "file" where the value is a path, or "=" and words.
    """

    __slots__ = ("also", "check", "completes", "default", "help", "kind", "name", "refused", "short")

    def __init__(
        self,
        name: str,
        kind: str,
        text: str,
        short: str = "",
        default: Value = "",
        check: str = "",
        refused: str = "",
        completes: str = "",
        also: str = "",
    ) -> None:
        self.name = name
        self.also = also
        self.kind = kind
        self.help = text
        self.short = short
        self.default = False if kind == "bool" and default == "" else default
        self.check = check
        self.refused = refused
        self.completes = completes

    @property
    def shown(self) -> str:
        """How an error message names it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command:
    """One command: its synopsis, options, how many words it takes, and what carries it out.

    `interspersed` is false where the first word ends the options, because the rest belongs to the container's program.
    `completes` says what the words are: "container", "running", "paused", "stopped", "image", "volume", "network", "context",
    "file" or "".
    """

    __slots__ = (
        "action",
        "at_least",
        "at_most",
        "completes",
        "examples",
        "interspersed",
        "options",
        "summary",
        "usage",
    )

    def __init__(
        self,
        usage: str,
        summary: str,
        action: Callable[[Session, Parsed], int],
        options: tuple[Option, ...] = (),
        words: tuple[int, int | None] = (0, 0),
        examples: tuple[str, ...] = (),
        interspersed: bool = True,
        completes: str = "",
    ) -> None:
        self.usage = usage
        self.summary = summary
        self.action = action
        self.options = options
        self.at_least, self.at_most = words
        self.examples = examples
        self.interspersed = interspersed
        self.completes = completes


class Parsed:
    """A command line after parsing: typed access to its options, `words` for the rest. `path` is the command as typed."""

    __slots__ = ("command", "path", "values", "words")

    def __init__(self, command: Command, path: str, values: dict[str, Value], words: list[str]) -> None:
        self.command = command
        self.path = path
        self.values = values
        self.words = words

    def given(self, name: str) -> bool:
        """Whether the option was on the command line at all."""
        return name in self.values

    def _value(self, name: str) -> Value | None:
        if name in self.values:
            return self.values[name]
        for option in self.command.options:
            if option.name == name:
                return option.default
        raise KeyError(name)

    def flag(self, name: str) -> bool:
        """The truth value of a bool option."""
        return self._value(name) is True

    def text(self, name: str) -> str:
        """The value of a string option, "" when absent."""
        value = self._value(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """The value of a numeric option in its unit (bytes, nanoseconds, 10⁻⁹ CPUs), 0 when absent."""
        value = self._value(name)
        return int(value) if isinstance(value, int) else 0

    def many(self, name: str) -> list[str]:
        """All values of a repeatable option that holds strings, in order."""
        value = self._value(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def documents(self, name: str) -> list[Document]:
        """All values of a repeatable option whose converter makes JSON objects (mounts, ulimits, networks)."""
        value = self._value(name)
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


HELP = Option("help", "bool", "Print usage")
