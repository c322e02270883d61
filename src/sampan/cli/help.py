"""Help, drawn from the option tables: plain lines, wrapped to the terminal, with examples and the spellings of a command."""

from __future__ import annotations

import os

from sampan.cli import registry
from sampan.cli.failures import PROGRAM, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sampan.cli.options import Option
    from sampan.cli.session import Session

_COMMON = ("run", "exec", "ps", "images", "version", "info")


def help_text(path: str, session: Session) -> str | None:
    """The help of a command, a group or the whole program (""); None when nothing is called so."""
    if not path:
        return _program_help(session)
    try:
        known, rest = registry.split_path(path.split())
    except UsageError:
        return None
    if rest:
        return None
    return _group_help(known) if registry.is_group(known) else _command_help(known)


def _width() -> int:
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        return 80
    return max(40, min(columns, 120))


def _program_help(session: Session) -> str:
    from sampan.cli import plugins
    from sampan.cli.main import GLOBAL_OPTIONS

    rows = {words: row[3] for row in registry.COMMANDS for words in registry.spellings(row)[:1] if " " not in words}
    found = plugins.every(session)
    added = {plugin.name + "*": plugin.described for plugin in found if not plugin.fault}
    invalid = {plugin.name: plugin.fault for plugin in found if plugin.fault}
    common = {words: rows.pop(words) for words in _COMMON}
    return "\n".join(
        [
            f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
            "",
            "A container engine in Python that speaks the Docker Engine API",
            *_listing("Common Commands:", common),
            *_listing("Management Commands:", dict(sorted({**registry.GROUPS, **added}.items()))),
            *_listing("Commands:", dict(sorted(rows.items()))),
            *(_listing("Invalid Plugins:", invalid) if invalid else []),
            "",
            "Global Options:",
            *_option_lines(GLOBAL_OPTIONS),
            "",
            "Examples:",
            f"  {PROGRAM} run --rm -it host bash      a disposable copy of this machine",
            f"  {PROGRAM} run -d -p 8080:80 web       a service in the background, its port published",
            f"  {PROGRAM} setup                       let docker, docker compose and docker-py use Sampan",
            "",
            f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
            "",
        ]
    )


def _group_help(group: str) -> str:
    rows = {
        words.split(" ", 1)[1]: row[3]
        for row in registry.COMMANDS
        for words in registry.spellings(row)
        if words.startswith(group + " ") and not words.endswith((" list", " remove", " ps", " du"))
    }
    return "\n".join(
        [
            f"Usage:  {PROGRAM} {group} COMMAND",
            "",
            registry.GROUPS[group],
            *_listing("Commands:", dict(sorted(rows.items()))),
            "",
            f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command.",
            "",
        ]
    )


def _command_help(path: str) -> str:
    command = registry.load(path)
    lines = [f"Usage:  {PROGRAM} {path} {command.usage}", "", command.summary]
    names = registry.aliases(path)
    if len(names) > 1:
        lines += ["", "Aliases:", "  " + ", ".join(f"{PROGRAM} {name}" for name in names)]
    if command.options:
        lines += ["", "Options:", *_option_lines(command.options)]
    if command.examples:
        lines += ["", "Examples:", *(f"  {PROGRAM} {example}" for example in command.examples)]
    return "\n".join([*lines, ""])


def _listing(title: str, rows: dict[str, str]) -> list[str]:
    width = max(11, *(len(name) for name in rows))
    return ["", title, *(f"  {name:<{width}} {text}" for name, text in rows.items())]


def _option_lines(options: Iterable[Option]) -> list[str]:
    shown = [(_spelling(option), _explanation(option)) for option in sorted(options, key=lambda item: item.name)]
    left = max(len(spelling) for spelling, _ in shown) + 3
    room = max(24, _width() - left)
    lines: list[str] = []
    for spelling, text in shown:
        first, *more = _wrapped(text, room)
        lines.append(f"{spelling:<{left}}{first}")
        lines += [" " * left + line for line in more]
    return lines


def _spelling(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    kind = "" if option.kind == "bool" else f" {option.kind}"
    return f"  {short}--{option.name}{kind}"


def _explanation(option: Option) -> str:
    text = option.help
    if option.default not in ("", False, 0):
        default = str(option.default).lower() if isinstance(option.default, bool) else option.default
        text += f' (default "{default}")' if isinstance(option.default, str) else f" (default {default})"
    return f"{text} (not implemented: {option.refused})" if option.refused else text


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines
