"""`setup`: other clients find Sampan. A docker context is made and selected; --docker-socket listens at Docker's own path.

A symbolic link from /var/run/docker.sock would do for most clients, but not for a container that binds that path (the link's
target is another name inside), and it outlives its daemon. So the daemon listens there itself: daemon.json's `hosts`.
"""

from __future__ import annotations

import os

from sampan.cli.config import DEFAULT_CONTEXT, context_directory, read_config
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
    directory = session.given.config_dir
    if parsed.flag("undo"):
        _undo_context(session, directory)
        _undo_hosts(session)
        return 0
    if parsed.flag("docker-socket"):
        _add_hosts(session)  # first: it is what can be refused
    _make_context(session, directory)
    session.say(f"export DOCKER_HOST={OWN_HOST}")
    return 0


# ---- the docker context


def _make_context(session: Session, directory: str) -> None:
    config = read_config(directory)
    before = text_of(config, "currentContext")
    meta_directory = context_directory(directory, "meta", NAME)
    os.makedirs(meta_directory, mode=0o755, exist_ok=True)
    metadata: Document = {"Description": "Sampan"}
    kept = _previous(meta_directory) if before == NAME else before
    if kept:
        metadata[_PREVIOUS] = kept
    meta: Document = {
        "Name": NAME,
        "Metadata": metadata,
        "Endpoints": {"docker": {"Host": OWN_HOST, "SkipTLSVerify": False}},
    }
    _replace(os.path.join(meta_directory, "meta.json"), documents.write(meta), 0o644)
    _select(directory, config, NAME)
    session.warn(f'docker context "{NAME}" made and selected in {directory}; sampan setup --undo takes it back')
    if session.given.environ.get("DOCKER_HOST"):
        session.warn("DOCKER_HOST is set in this shell and overrides the context: unset it, or evaluate the line below")


def _undo_context(session: Session, directory: str) -> None:
    meta_directory = context_directory(directory, "meta", NAME)
    config = read_config(directory)
    before = _previous(meta_directory)
    if text_of(config, "currentContext") == NAME:
        exists = before and os.path.isdir(context_directory(directory, "meta", before))
        _select(directory, config, before if exists else "")
    try:
        os.unlink(os.path.join(meta_directory, "meta.json"))
        os.rmdir(meta_directory)
    except FileNotFoundError:
        session.warn(f'there is no docker context "{NAME}" in {directory}')
        return
    session.warn(f'docker context "{NAME}" removed from {directory}')


def _previous(meta_directory: str) -> str:
    try:
        with open(os.path.join(meta_directory, "meta.json"), "rb") as file:
            return text_of(object_of(documents.document(file.read(1 << 20)), "Metadata"), _PREVIOUS)
    except (OSError, documents.MalformedDocument):
        return ""


def _select(directory: str, config: Document, name: str) -> None:
    """Set currentContext and keep everything else as it was; "" goes back to the default."""
    path = os.path.join(directory, "config.json")
    changed = {key: value for key, value in config.items() if key != "currentContext"}
    if name and name != DEFAULT_CONTEXT:
        changed["currentContext"] = name
    if not changed:
        if os.path.exists(path) and config:
            os.unlink(path)  # there was nothing else in it
        return
    _replace(path, _tabbed(changed), 0o600)


def _tabbed(value: Document) -> str:
    from sampan.cli.output.go_json import indent

    return indent(documents.write(value), step="\t")


def _replace(path: str, text: str, mode: int) -> None:
    """Write beside the file and rename, through a symbolic link to what it names, keeping an old file's mode."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if os.path.exists(path):
        mode = os.stat(path).st_mode & 0o777
    partial = f"{path}.{os.getpid()}.new"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(partial, path)


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
            _replace(CONFIG_FILE, _tabbed(config) + "\n", 0o644)
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
