"""Plugins of the command: `docker-NAME` and `sampan-NAME`, found where the docker command looks, run as it runs them.

Source: github.com/docker/cli, cli-plugins (the directories, `docker-cli-plugin-metadata`, schema 0.1.0, what is passed on).
A plugin is somebody's program: it is asked who it is with a bound on time and words, and one that does not say is named with the
reason and not run.
"""

from __future__ import annotations

import os
import stat

from sampan.cli.failures import PROGRAM, Exit
from sampan.client import documents
from sampan.client.documents import text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from typing import NoReturn

    from sampan.cli.session import Session
    from sampan.client.documents import Document

SYSTEM = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_PREFIXES = ("sampan-", "docker-")
_ASKED = "docker-cli-plugin-metadata"
_SCHEMA = "0.1.0"
_SECONDS = 5.0
_LIMIT = 64 * 1024
_MOST = 64
"""Plugins that are asked for a list; beyond that somebody's directory is not what it seems."""
_NO_FILES = 4
"""cobra's ShellCompDirectiveNoFileComp."""


class Plugin:
    """One plugin: where it is, what it hides of the same name, what it says of itself, and what is wrong with it ("")."""

    __slots__ = ("fault", "metadata", "name", "path", "shadowed")

    def __init__(self, name: str, paths: list[str]) -> None:
        self.name = name
        self.path, *self.shadowed = paths
        self.metadata: Document = {}
        self.fault = ""

    @property
    def described(self) -> str:
        """Its line in a list of commands."""
        return text_of(self.metadata, "ShortDescription")

    def document(self) -> Document:
        """As ClientInfo.Plugins of `info` has it."""
        shown: Document = {**self.metadata, "Name": self.name, "Path": self.path}
        if self.shadowed:
            shown["ShadowedPaths"] = [*self.shadowed]
        if self.fault:
            shown["Err"] = self.fault
        return shown


def directories(session: Session) -> list[str]:
    """Where plugins are looked for, the first first."""
    own = os.path.join(session.given.config_dir, "cli-plugins")
    return [*texts_of(session.config, "cliPluginsExtraDirs"), own, *SYSTEM]


def _is_name(name: str) -> bool:
    return name.isascii() and name.isalnum() and name == name.lower() and name[:1].isalpha()


def _candidates(session: Session, wanted: str = "") -> dict[str, list[str]]:
    """Files by the plugin's name, in the order in which they hide each other."""
    found: dict[str, list[str]] = {}
    for directory in directories(session):
        try:
            names = sorted(os.listdir(directory)) if not wanted else [prefix + wanted for prefix in _PREFIXES]
        except OSError:
            continue
        # Sampan's own before Docker's where both lie in one place.
        for file in sorted(names, key=lambda file: not file.startswith(_PREFIXES[0])):
            prefix = next((prefix for prefix in _PREFIXES if file.startswith(prefix)), "")
            name, path = file[len(prefix) :], os.path.join(directory, file)
            if prefix and _is_name(name) and _is_file(path):
                found.setdefault(name, []).append(path)
    return found


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def find(session: Session, name: str) -> Plugin | None:
    """The plugin that is called so, asked who it is; None where there is none."""
    if not _is_name(name):
        return None
    paths = _candidates(session, name).get(name)
    if not paths:
        return None
    plugin = Plugin(name, paths)
    _ask([plugin])
    return plugin


def every(session: Session) -> list[Plugin]:
    """All that are there, by name, asked who they are beside each other."""
    from sampan.cli import registry

    plugins = [Plugin(name, paths) for name, paths in sorted(_candidates(session).items())[:_MOST]]
    builtin = {words for row in registry.COMMANDS for words in registry.spellings(row)} | set(registry.GROUPS)
    for plugin in plugins:
        if plugin.name in builtin:
            plugin.fault = f'plugin "{plugin.name}" duplicates builtin command'
    _ask([plugin for plugin in plugins if not plugin.fault])
    return plugins


def _ask(plugins: Sequence[Plugin]) -> None:
    import subprocess
    import time

    running: list[tuple[Plugin, subprocess.Popen[bytes]]] = []
    for plugin in plugins:
        try:
            asked = subprocess.Popen(
                [plugin.path, _ASKED], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            plugin.fault = f"failed to fetch metadata: fork/exec {plugin.path}: {os.strerror(error.errno or 0).lower()}"
        else:
            running.append((plugin, asked))
    until = time.monotonic() + _SECONDS
    for plugin, asked in running:
        plugin.fault, text = _answer(asked, until)
        if not plugin.fault:
            plugin.fault, plugin.metadata = _judged(text)


def _answer(asked: subprocess.Popen[bytes], until: float) -> tuple[str, bytes]:
    """What is wrong ("") and what it said: at most the bound, by then; it is ended in any case."""
    import select
    import time

    assert asked.stdout is not None
    text, fault = b"", ""
    os.set_blocking(asked.stdout.fileno(), False)
    while len(text) <= _LIMIT:
        left = until - time.monotonic()
        if left <= 0 or not select.select([asked.stdout], [], [], left)[0]:
            fault = f"failed to fetch metadata: no answer within {_SECONDS:.0f} seconds"
            break
        piece = os.read(asked.stdout.fileno(), _LIMIT)
        if not piece:
            break
        text += piece
    if len(text) > _LIMIT:
        fault = f"failed to fetch metadata: more than {_LIMIT} bytes"
    asked.stdout.close()
    if fault:
        asked.kill()
    code = asked.wait()
    return fault or (f"failed to fetch metadata: exit status {code}" if code else ""), text


def _judged(text: bytes) -> tuple[str, Document]:
    try:
        said = documents.document(text)
    except documents.MalformedDocument as error:
        return f"invalid metadata: {error}", {}
    keys = ("SchemaVersion", "Vendor", "Version", "ShortDescription", "URL")
    metadata: Document = {key: text_of(said, key) for key in keys if text_of(said, key)}
    if text_of(said, "SchemaVersion") != _SCHEMA:
        schema = text_of(said, "SchemaVersion")
        return f'plugin SchemaVersion "{schema}" is not valid, must be "{_SCHEMA}"', metadata
    if not text_of(said, "Vendor"):
        return "plugin metadata does not define a vendor", metadata
    return "", metadata


def environment(session: Session) -> dict[str, str]:
    """Ours, the command that they may call back, and the daemon: theirs would be Docker's where nothing else is said."""
    given = session.given
    found = {**given.environ, "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": _own_path()}
    if not given.host and session.context == "default" and not given.environ.get("DOCKER_HOST"):
        found["DOCKER_HOST"] = session.address.text
    return found


def _own_path() -> str:
    import sys

    return os.path.abspath(sys.argv[0]) if os.path.exists(sys.argv[0]) else PROGRAM


def execute(session: Session, plugin: Plugin, arguments: list[str]) -> NoReturn:
    """Become the plugin, with the whole command line: options before its name are for it to read, too. Raises Exit."""
    if plugin.fault:
        raise Exit(1, f'{PROGRAM}: the plugin "{plugin.name}" ({plugin.path}) cannot be used: {plugin.fault}')
    try:
        os.execve(plugin.path, [plugin.path, *arguments], environment(session))  # noqa: S606
    except OSError as error:
        raise Exit(126, f"{PROGRAM}: {plugin.path}: {error.strerror}") from error


def candidates(session: Session, name: str, words: list[str], last: str) -> list[str] | None:
    """What the plugin would complete `last` to, after its own `words`; [":files"] for a path. None where no plugin is called so."""
    import subprocess
    import time

    plugin = find(session, name)
    if plugin is None or plugin.fault:
        return None
    asked = subprocess.Popen(
        [plugin.path, "__complete", name, *words, last],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(session),
    )
    fault, text = _answer(asked, time.monotonic() + _SECONDS)
    lines = text.decode("utf-8", "replace").splitlines()
    if fault or not lines or not lines[-1].startswith(":") or not lines[-1][1:].isdigit():
        return []
    found = [line.partition("\t")[0] for line in lines[:-1] if not line.startswith("_activeHelp_")]
    return found or ([] if int(lines[-1][1:]) & _NO_FILES else [":files"])


def missing(session: Session, name: str) -> str:
    """What is said where a well-known plugin is not there; "" for other names."""
    if name not in ("compose", "buildx"):
        return ""
    places = ", ".join(directories(session))
    return f"{PROGRAM}: '{PROGRAM} {name}' is the plugin docker-{name}, which is in none of {places}"
