"""`login`, `logout`: a registry is asked by the daemon; what it accepts is kept where docker keeps it."""

from __future__ import annotations

import sys

from sampan.cli.credentials import config_file, saved
from sampan.cli.credentials.keychain import KeychainFailed
from sampan.cli.credentials.saved import Login
from sampan.cli.failures import PROGRAM, Exit
from sampan.cli.options import Command, Option
from sampan.client.documents import text_of
from sampan.client.failures import RefusedByDaemon
from sampan.registry.names import HUB_INDEX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

_UNENCRYPTED = """
WARNING! Your credentials are stored unencrypted in '{path}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""
_LONGEST = 1 << 20


def _login(session: Session, parsed: Parsed) -> int:
    _check(parsed)
    if parsed.text("password"):
        session.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    key = saved.key_of(parsed.words[0] if parsed.words else "")
    name = parsed.text("username")
    password = _from_stdin() if parsed.flag("password-stdin") else parsed.text("password")
    try:
        known = saved.find(session.config, key) if not name and not password else Login(key)
        status = _with_known(session, known) if known.username and known.password else ""
        if not status:
            login = _asked(key, name, password, known.username)
            status = _try(session, login)
            _keep(session, login)
    except KeychainFailed as error:
        raise Exit(1, str(error)) from error
    session.say(status)
    return 0


def _check(parsed: Parsed) -> None:
    if parsed.flag("password-stdin"):
        if parsed.given("password"):
            raise Exit(1, "conflicting options: cannot specify both --password and --password-stdin")
        if not parsed.given("username"):
            raise Exit(1, "the --password-stdin option requires --username to be set")
    for name in ("username", "password"):
        if parsed.given(name) and not parsed.text(name):
            raise Exit(1, f"{name} is empty")


def _from_stdin() -> str:
    return sys.stdin.read(_LONGEST).removesuffix("\n").removesuffix("\r")


def _with_known(session: Session, known: Login) -> str:
    """The registry's word on what is kept already, "" where that is not good any more."""
    hint = f"To login with a different account, run '{PROGRAM} logout' followed by '{PROGRAM} login'"
    session.warn(f"Authenticating with existing credentials... [Username: {known.username}]\n\n Info -> {hint}\n")
    try:
        status = _try(session, known)
    except RefusedByDaemon as error:
        expired = error.status == 401
        session.warn(
            "Stored credentials invalid or expired" if expired else f"Login did not succeed, error: {error.message}"
        )
        return ""
    if known.identity_token:
        _keep(session, known)
    return status


def _asked(key: str, name: str, password: str, default: str) -> Login:
    """What the options leave open is asked for at the terminal."""
    if not (name and password):
        if not sys.stdin.isatty():
            raise Exit(1, "Error: Cannot perform an interactive login from a non TTY device")
        from getpass import getpass

        name = name or input(f"Username ({default}): " if default else "Username: ").strip() or default
        if not name:
            raise Exit(1, "username is required")
        password = password or getpass("Password: ")
        if not password:
            raise Exit(1, "password is required")
    return Login(key, name, password)


def _try(session: Session, login: Login) -> str:
    """Ask the daemon; `login` gets the identity token where the registry gave one. RefusedByDaemon."""
    from sampan.cli.credentials.header import document

    answer = session.engine.fetch_document("/auth", method="POST", body=document(login))
    if token := text_of(answer, "IdentityToken"):
        login.identity_token, login.password = token, ""
    return text_of(answer, "Status")


def _keep(session: Session, login: Login) -> None:
    config = config_file.read_for_change(session.given.config_dir)
    in_clear_text = saved.keep(config, login)
    path = config_file.write(session.given.config_dir, config)
    if in_clear_text:
        session.warn(_UNENCRYPTED.format(path=path))


def _logout(session: Session, parsed: Parsed) -> int:
    server = parsed.words[0] if parsed.words else HUB_INDEX
    keys, name = [server], server
    if server != HUB_INDEX:
        name = saved.hostname(server)
        # Older releases kept a login under whatever its user had typed.
        keys = list(dict.fromkeys((server, name, f"http://{name}", f"https://{name}")))
    session.say(f"Removing login credentials for {name}")
    config = config_file.read_for_change(session.given.config_dir)
    before = repr(config)
    try:
        saved.forget(config, keys)
    except KeychainFailed as error:
        session.warn(str(error))
    if repr(config) != before:
        config_file.write(session.given.config_dir, config)
    return 0


LOGIN = Command(
    "[OPTIONS] [SERVER]",
    "Log in to a registry (Docker Hub where none is named)",
    _login,
    (
        Option("password", "string", "Password or access token (others can see it: --password-stdin is safer)", "p"),
        Option("password-stdin", "bool", "Read the password or access token from stdin"),
        Option("username", "string", "User's name", "u"),
    ),
    words=(0, 1),
    examples=("login registry.example:5000", "login -u me --password-stdin registry.example < token.txt"),
)
LOGOUT = Command(
    "[SERVER]",
    "Forget the login at a registry (Docker Hub where none is named)",
    _logout,
    words=(0, 1),
    examples=("logout registry.example:5000",),
)
