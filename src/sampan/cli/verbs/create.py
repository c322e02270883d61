"""`create`, and the making of a container that `run` shares with it."""

from __future__ import annotations

import os

from sampan.cli.create.body import create_body
from sampan.cli.failures import ENGINE_FAILED, Exit, start_failure_code, with_help
from sampan.cli.options import Command
from sampan.cli.verbs.container_options import CONTAINER_OPTIONS
from sampan.client.documents import object_of, text_of, texts_of
from sampan.client.failures import RefusedByDaemon
from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_PULLS = ("always", "missing", "never")


def container_body(session: Session, parsed: Parsed) -> Document:
    """The create body; Exit 125 with Docker's words for options that are wrong."""
    verb = parsed.path.split()[-1]
    pull = parsed.text("pull")
    if pull not in _PULLS:
        raise Exit(
            ENGINE_FAILED,
            with_help(f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"', verb),
        )
    try:
        return create_body(parsed, session.given.environ, _proxies(session, parsed))
    except ValueError as error:
        raise Exit(ENGINE_FAILED, with_help(str(error), verb)) from error


def _proxies(session: Session, parsed: Parsed) -> list[str]:
    if not object_of(session.config, "proxies"):
        return []
    from sampan.cli.create.environment import proxy_variables

    return proxy_variables(session.config, session.address.text, parsed.many("env"))


class IdFile:
    """--cidfile: made before the container, so that two runs do not share one; taken away when no container came of it."""

    def __init__(self, path: str, verb: str) -> None:
        self._path = path
        self._written = False
        if not path:
            return
        if os.path.exists(path):
            message = f"container ID file found, make sure the other container isn't running or delete {path}"
            raise Exit(ENGINE_FAILED, with_help(message, verb))
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"failed to create the container ID file: open {path}: {(error.strerror or '').lower()}"
            raise Exit(ENGINE_FAILED, with_help(message, verb)) from error

    def write(self, identifier: str) -> None:
        """The container exists."""
        if self._path:
            os.write(self._descriptor, identifier.encode())
            self._written = True

    def close(self) -> None:
        """Done; an empty file goes."""
        if self._path:
            os.close(self._descriptor)
            if not self._written:
                os.unlink(self._path)


def create_container(session: Session, parsed: Parsed, body: Document) -> str:
    """Make the container, pulling its image where that is missing and wanted; the id. Exit 125, 126 or 127 on refusal."""
    verb = parsed.path.split()[-1]
    cidfile = IdFile(parsed.text("cidfile"), verb)
    try:
        if parsed.text("pull") == "always":
            _pull(session, parsed)
        try:
            created = _post(session, parsed, body)
        except RefusedByDaemon as refusal:
            if refusal.status != 404 or not _lacks_image(refusal) or parsed.text("pull") != "missing":
                raise
            if not parsed.flag("quiet"):
                session.warn(f"Unable to find image '{with_tag(parsed.words[0])}' locally")
            _pull(session, parsed)
            created = _post(session, parsed, body)
        identifier = text_of(created, "Id")
        for warning in texts_of(created, "Warnings"):
            session.warn(f"WARNING: {warning}")
        cidfile.write(identifier)
        return identifier
    except RefusedByDaemon as refusal:
        raise Exit(start_failure_code(refusal), with_help(str(refusal), verb)) from refusal
    except SampanError as error:
        raise Exit(ENGINE_FAILED, with_help(str(error), verb)) from error
    finally:
        cidfile.close()


def _post(session: Session, parsed: Parsed, body: Document) -> Document:
    engine = session.engine
    platform = parsed.text("platform") or session.given.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    query = {"name": parsed.text("name") or None, "platform": platform or None}
    return engine.fetch_document("/containers/create", query, method="POST", body=body)


def _lacks_image(refusal: RefusedByDaemon) -> bool:
    return "no such image" in refusal.message.lower()


def with_tag(reference: str) -> str:
    """The name as a person writes it, ":latest" added where it has neither tag nor digest."""
    short = (
        reference.removeprefix("docker.io/").removeprefix("library/")
        if reference.startswith("docker.io/")
        else reference
    )
    last = short.rpartition("/")[2]
    return short if ":" in last or "@" in short else f"{short}:latest"


def _pull(session: Session, parsed: Parsed) -> None:
    from sampan.cli.pull import pull_image

    platform = parsed.text("platform") or session.given.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    pull_image(session, parsed.words[0], platform, quiet=parsed.flag("quiet"))


def _create(session: Session, parsed: Parsed) -> int:
    session.say(create_container(session, parsed, container_body(session, parsed)))
    return 0


CREATE = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a container without starting it",
    _create,
    CONTAINER_OPTIONS,
    words=(1, None),
    interspersed=False,
    completes="image",
    examples=(
        "create --name db -v data:/var/lib/data database",
        "start -a db",
    ),
)
