"""`setup`: other clients find Sampan. A docker context is made and selected; --docker-socket listens at Docker's own path.

A symbolic link from /var/run/docker.sock would do for most clients, but not for a container that binds that path (the link's
target is another name inside), and it outlives its daemon. So the daemon listens there itself: daemon.json's `hosts`.
"""

from __future__ import annotations

import os

from sampan.cli.contexts.store import Context, Contexts, replace, tabbed
from sampan.cli.daemon_start import CONFIG_FILE
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client import documents
from sampan.client.address import DEFAULT_SOCKET, Address
from sampan.client.documents import object_of, text_of, texts_of
from sampan.client.engine import Engine
from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

NAME = "sampan"
OWN_HOST = f"unix://{DEFAULT_SOCKET}"
DOCKER_SOCKET = "/var/run/docker.sock"
_PREVIOUS = "SampanPreviousContext"


def _setup(session: Session, parsed: Parsed) -> int:
    if parsed.flag("undo"):
        _undo_context(session)
        _undo_hosts(session)
        return 0
    if parsed.flag("docker-socket"):
        _add_hosts(session)  # first: it is what can be refused
    _make_context(session)
    session.say(f"export DOCKER_HOST={OWN_HOST}")
    return 0


# ---- the docker context


def _make_context(session: Session) -> None:
    contexts = Contexts(session)
    before = text_of(session.config, "currentContext")
    metadata: Document = {"Description": "Sampan"}
    kept = _previous(contexts) if before == NAME else before
    if kept:
        metadata[_PREVIOUS] = kept
    endpoints: Document = {"docker": {"Host": OWN_HOST, "SkipTLSVerify": False}}
    contexts.save(Context({"Name": NAME, "Metadata": metadata, "Endpoints": endpoints}, {}))
    contexts.select(NAME)
    directory = session.given.config_dir
    session.warn(f'docker context "{NAME}" made and selected in {directory}; sampan setup --undo takes it back')
    if session.given.environ.get("DOCKER_HOST"):
        session.warn("DOCKER_HOST is set in this shell and overrides the context: unset it, or evaluate the line below")


def _undo_context(session: Session) -> None:
    contexts, directory = Contexts(session), session.given.config_dir
    before = _previous(contexts)
    if text_of(session.config, "currentContext") == NAME:
        contexts.select(before if before and contexts.exists(before) else "")
    if contexts.remove(NAME):
        session.warn(f'docker context "{NAME}" removed from {directory}')
    else:
        session.warn(f'there is no docker context "{NAME}" in {directory}')


def _previous(contexts: Contexts) -> str:
    return text_of(object_of(contexts.load(NAME).meta, "Metadata"), _PREVIOUS) if contexts.exists(NAME) else ""


# ---- Docker's socket


def _daemon_config() -> Document:
    try:
        with open(CONFIG_FILE, "rb") as file:
            return documents.document(file.read(1 << 20))
    except FileNotFoundError:
        return {}
    except (OSError, documents.MalformedDocument) as error:
        raise Exit(1, f"{CONFIG_FILE}: {error}") from error


def _add_hosts(session: Session) -> None:
    _refuse_other_engine()
    config = _daemon_config()
    hosts = texts_of(config, "hosts") or [OWN_HOST]
    wanted = f"unix://{DOCKER_SOCKET}"
    if wanted not in hosts:
        together: list[Json] = [*hosts, wanted]
        _write_daemon_config({**config, "hosts": together})
    session.warn(f"{CONFIG_FILE}: hosts has {wanted}; it holds from the daemon's next start on (containers stay up)")


def _undo_hosts(session: Session) -> None:
    config = _daemon_config()
    wanted = f"unix://{DOCKER_SOCKET}"
    hosts = texts_of(config, "hosts")
    if wanted not in hosts:
        return
    rest: list[Json] = [host for host in hosts if host != wanted]
    changed = {key: value for key, value in config.items() if key != "hosts"}
    if rest not in ([], [OWN_HOST]):
        changed["hosts"] = rest
    _write_daemon_config(changed)
    session.warn(f"{CONFIG_FILE}: hosts no longer has {wanted}; it holds from the daemon's next start on")


def _write_daemon_config(config: Document) -> None:
    try:
        if config:
            replace(CONFIG_FILE, tabbed(config) + "\n", 0o644)
        elif os.path.exists(CONFIG_FILE):
            os.unlink(CONFIG_FILE)
    except OSError as error:
        raise Exit(1, f"{CONFIG_FILE}: {error.strerror}") from error


def _refuse_other_engine() -> None:
    """Exit where another engine answers at Docker's path, or systemd keeps that path for one."""
    engine = Engine(Address(f"unix://{DOCKER_SOCKET}", "unix", path=DOCKER_SOCKET))
    try:
        engine.ping(timeout=2.0)
    except DaemonUnreachable as error:
        if error.silent:
            raise Exit(1, f"{DOCKER_SOCKET} belongs to another engine, which does not answer now") from error
        return
    engine.close()
    if not engine.is_sampan:
        raise Exit(
            1, f"{DOCKER_SOCKET} belongs to another engine, which is running: stop it first, or do without the option"
        )


SETUP = Command(
    "[OPTIONS]",
    "Let docker and other clients find Sampan; --undo takes it back",
    _setup,
    (
        Option("docker-socket", "bool", f"Listen at {DOCKER_SOCKET} too, unless another engine does"),
        Option("undo", "bool", "Take back what setup did, the selected context included"),
    ),
    examples=("setup", "setup --docker-socket", "setup --undo"),
)
