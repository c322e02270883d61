"""`completion`: scripts for bash, zsh and fish, and the hidden `__complete` that they ask for candidates.

Candidates come from the same tables that parsing uses; names of containers and images from the daemon, if one answers at once.
"""

from __future__ import annotations

from sampan.cli import config as configuration
from sampan.cli import registry
from sampan.cli.failures import UsageError
from sampan.cli.options import HELP, Command, Option
from sampan.client.documents import objects_of, text_of, texts_of
from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

PING_TIMEOUT = 0.5
_FILES = ":files"

_BASH = """\
_sampan() {
    local line candidates
    candidates=()
    while IFS= read -r line; do
        candidates+=("$line")
    done < <(sampan __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [ "${candidates[0]}" = ":files" ]; then
        compopt -o default
        COMPREPLY=()
        return
    fi
    COMPREPLY=("${candidates[@]}")
}
complete -F _sampan sampan
"""
_ZSH = """\
#compdef sampan
_sampan() {
    local -a candidates
    candidates=("${(@f)$(sampan __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    if [ "$candidates[1]" = ":files" ]; then
        _files
        return
    fi
    compadd -- "${candidates[@]}"
}
compdef _sampan sampan
"""
_FISH = """\
function __sampan_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (sampan __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c sampan -f -a '(__sampan_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def _completion(session: Session, parsed: Parsed) -> int:
    script = SCRIPTS.get(parsed.words[0])
    if script is None:
        raise UsageError(
            f"no completion for {parsed.words[0]!r}: bash, zsh or fish", parsed.path, parsed.command.usage, 1
        )
    session.say(script.rstrip("\n"))
    return 0


def _complete(session: Session, parsed: Parsed) -> int:
    words = parsed.words or [""]
    for candidate in candidates(session, words[:-1], words[-1]):
        session.say(candidate)
    return 0


def candidates(session: Session, before: list[str], last: str) -> list[str]:
    """What may stand in the place of `last`, after the words `before`; [":files"] where a path may."""
    from sampan.cli.main import GLOBAL_OPTIONS

    start = _skip_options(GLOBAL_OPTIONS, before, stop_at_word=True)
    words = before[start:]
    try:
        path, rest = registry.split_path(words) if words else ("", [])
    except UsageError:
        from sampan.cli import plugins

        return plugins.candidates(session, words[0], words[1:], last) or []
    if not path:
        return _matching([*_first_words(), *_plugin_names(session), *_flags(GLOBAL_OPTIONS)], last)
    if registry.is_group(path):
        return _matching(_group_words(path), last) if not rest else []
    command = registry.load(path)
    return _of_command(session, command, rest, last)


def _of_command(session: Session, command: Command, rest: list[str], last: str) -> list[str]:
    waiting = _waiting_option(command, rest)
    if waiting is not None:
        if waiting.completes.startswith("="):
            return _matching(waiting.completes[1:].split(" "), last)
        return [_FILES] if waiting.completes == "file" else []
    plain = [word for word in rest if not word.startswith("-")]
    if last.startswith("-") and (command.interspersed or len(plain) == 0):
        return _matching(_flags(command.options), last)
    at = _skip_options(command.options, rest, stop_at_word=True)
    if not command.interspersed and at < len(rest):
        return [_FILES]  # the program's own words
    if command.completes == "file":
        return [_FILES]
    return _matching(_names(session, command.completes), last)


def _plugin_names(session: Session) -> list[str]:
    from sampan.cli import plugins

    return [plugin.name for plugin in plugins.every(session) if not plugin.fault]


def _first_words() -> list[str]:
    singles = {words for row in registry.COMMANDS for words in registry.spellings(row) if " " not in words}
    return sorted({*singles, *registry.GROUPS})


def _group_words(group: str) -> list[str]:
    return sorted(
        words.split(" ", 1)[1]
        for row in registry.COMMANDS
        for words in registry.spellings(row)
        if words.startswith(f"{group} ")
    )


def _flags(options: tuple[Option, ...]) -> list[str]:
    return [f"--{option.name}" for option in (*options, HELP) if not option.refused]


def _matching(found: list[str], last: str) -> list[str]:
    return [name for name in found if name.startswith(last)]


def _waiting_option(command: Command, rest: list[str]) -> Option | None:
    """The option that the last of `rest` is and that still lacks its value."""
    if not rest or not rest[-1].startswith("-") or "=" in rest[-1]:
        return None
    word = rest[-1]
    for option in command.options:
        named = word == f"--{option.name}" or (not word.startswith("--") and option.short == word[-1:])
        if named and option.kind != "bool":
            return option
    return None


def _skip_options(options: tuple[Option, ...], words: list[str], stop_at_word: bool) -> int:
    """Where the first word stands that is neither an option nor an option's value."""
    takes_value = {f"--{option.name}" for option in options if option.kind != "bool"}
    takes_value |= {f"-{option.short}" for option in options if option.kind != "bool" and option.short}
    at = 0
    while at < len(words):
        if not words[at].startswith("-") and stop_at_word:
            return at
        at += 2 if words[at] in takes_value else 1
    return len(words)


def _names(session: Session, kind: str) -> list[str]:
    if not kind:
        return []
    if kind == "context":
        from sampan.cli.contexts.store import Contexts

        return sorted([*Contexts(session).names(), configuration.DEFAULT_CONTEXT])
    try:
        engine = session.unconnected()
        engine.ping(PING_TIMEOUT)
        if kind == "image":
            tags = [tag for item in engine.fetch_list("/images/json") for tag in texts_of(item, "RepoTags")]
            return sorted({tag.removesuffix(":latest") for tag in tags if "<none>" not in tag})
        if kind == "volume":
            return sorted(text_of(item, "Name") for item in objects_of(engine.fetch_document("/volumes"), "Volumes"))
        if kind == "network":
            return sorted(text_of(item, "Name") for item in engine.fetch_list("/networks"))
        found = engine.fetch_list("/containers/json", {"all": None if kind == "running" else "1"})
    except SampanError:
        return []  # nothing to offer is the answer where nobody can be asked
    return sorted(
        name.removeprefix("/")
        for item in found
        if _fits(kind, text_of(item, "State"))
        for name in texts_of(item, "Names")[:1]
    )


def _fits(kind: str, state: str) -> bool:
    return {"stopped": state != "running", "paused": state == "paused"}.get(kind, True)


COMPLETION = Command(
    "bash|zsh|fish", "Print the completion script of a shell", _completion, words=(1, 1),
    examples=("completion bash > /etc/bash_completion.d/sampan", "completion fish | source"),
)  # fmt: skip
COMPLETE = Command("[WORD...]", "What a completion script asks", _complete, words=(0, None), interspersed=False)
