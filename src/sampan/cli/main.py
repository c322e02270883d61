"""The command from its words to its exit code."""

from __future__ import annotations

import sys

from sampan.cli import registry
from sampan.cli.config import Globals
from sampan.cli.failures import Exit, UsageError
from sampan.cli.options import Option
from sampan.cli.parse import HelpWanted, parse_command, parse_options
from sampan.cli.session import Session
from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampan.cli.options import Value

LEVELS = ("debug", "info", "warn", "error", "fatal")
USAGE = "[OPTIONS] COMMAND [ARG...]"
GLOBAL_OPTIONS = (
    Option("config", "string", "Directory of the client's configuration (default ~/.docker)"),
    Option("context", "string", "Docker context to use; overrides DOCKER_HOST and the selected context", "c"),
    Option("debug", "bool", "Show where in this command a failure came from", "D"),
    Option("host", "string", "Address of the daemon: unix://PATH or tcp://HOST:PORT", "H"),
    Option(
        "log-level", "string", "debug is --debug; info, warn, error and fatal show failures alone", "l", default="info"
    ),
    Option("tls", "bool", "Speak TLS; --tlsverify does too"),
    Option("tlscacert", "string", "Trust only daemons whose certificate this authority signed"),
    Option("tlscert", "string", "The client's certificate"),
    Option("tlskey", "string", "The client's key"),
    Option("tlsverify", "bool", "Speak TLS and check the daemon's certificate"),
    Option("version", "bool", "Print the version and end", "v"),
)


def run_command(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Carry out the command line and return the exit code; everything a user should read has been written."""
    given = Globals(environ)
    try:
        return _dispatch(arguments, given)
    except Exit as end:
        if end.text:
            _complain(end.text)
        return end.code
    except UsageError as error:
        _complain(str(error))
        return error.code
    except SampanError as error:
        if given.debug:
            import traceback

            traceback.print_exc()
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141  # as a shell reports a death by SIGPIPE
    except OSError as error:
        if given.debug:
            raise
        _complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        return 1


def _dispatch(arguments: list[str], given: Globals) -> int:
    try:
        values, words = parse_options(GLOBAL_OPTIONS, arguments, "", USAGE, interspersed=False)
    except HelpWanted:
        return _help("", given)
    if values.get("version"):
        from sampan.cli.verbs.version import one_line

        sys.stdout.write(one_line() + "\n")
        return 0
    _apply(values, given)
    if words[:1] == ["help"]:
        return _help(" ".join(words[1:]), given)
    try:
        path, rest = registry.split_path(words)
    except UsageError:
        _become_plugin(words[0], arguments, given)
        raise
    if not path or registry.is_group(path):
        return _group(path, rest, given)
    command = registry.load(path)
    try:
        parsed = parse_command(command, path, rest)
    except HelpWanted:
        return _help(path, given)
    code = command.action(Session(given), parsed)
    sys.stdout.flush()
    return code


def _become_plugin(name: str, arguments: list[str], given: Globals) -> None:
    """Returns where no plugin is called so, and nothing is known of one. Raises Exit for one that cannot be used."""
    from sampan.cli import plugins

    session = Session(given)
    plugin = plugins.find(session, name)
    if plugin is not None:
        plugins.execute(session, plugin, arguments)
    if text := plugins.missing(session, name):
        raise Exit(1, text)


def _apply(values: dict[str, Value], given: Globals) -> None:
    def text(name: str, fallback: str) -> str:
        value = values.get(name)
        return value if isinstance(value, str) else fallback

    given.config_dir = text("config", given.config_dir)
    given.context = text("context", "")
    given.host = text("host", "")
    given.ca = text("tlscacert", given.ca)
    given.cert = text("tlscert", given.cert)
    given.key = text("tlskey", given.key)
    level = text("log-level", "info")
    if level not in LEVELS:
        raise Exit(1, f"unable to parse logging level: {level}")
    given.debug = values.get("debug") is True or level == "debug"
    given.tls = values.get("tls") is True
    given.tls_verify = values.get("tlsverify") is True or given.tls_verify


def _group(path: str, rest: list[str], given: Globals) -> int:
    try:
        parse_options((), rest, path, "", interspersed=False)
    except HelpWanted:
        pass
    return _help(path, given)


def _help(path: str, given: Globals) -> int:
    from sampan.cli.help import help_text

    text = help_text(path, Session(given))
    if text is None:
        name, *rest = path.split()
        _become_plugin(name, [name, *rest, "--help"], given)
        _complain(f"unknown help topic: {path}")
        return 1
    sys.stdout.write(text)
    return 0


def _complain(text: str) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    sys.stderr.write(text.rstrip("\n") + "\n")


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere: the reader has gone, and its complaint would go to stderr."""
    import os

    null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 1)
    os.close(null)
