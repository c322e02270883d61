"""`plugin install`, `upgrade`, `create`: how managed plugins come, and what they are allowed."""

from __future__ import annotations

import os
import sys

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.plugins import path_of
from sampan.cli.verbs.pull import TRUST
from sampan.client.documents import text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

_GRANT = Option("grant-all-permissions", "bool", "Allow whatever it asks for, without a question")
_CHUNK = 1024 * 1024


def _install(session: Session, parsed: Parsed) -> int:
    remote, settings = parsed.words[0], [*parsed.words[1:]]
    name = parsed.text("alias") or remote
    granted = _granted(session, parsed, remote, "installing")
    _bring(session, "/plugins/pull", {"remote": remote, "name": parsed.text("alias") or None}, remote, granted)
    if settings:
        session.engine.order("POST", f"{path_of(name)}/set", body=[*settings])
    if not parsed.flag("disable"):
        session.engine.order("POST", f"{path_of(name)}/enable", {"timeout": "0"})
    session.say(f"Installed plugin {remote}")
    return 0


def _upgrade(session: Session, parsed: Parsed) -> int:
    found = session.engine.fetch_document(f"{path_of(parsed.words[0])}/json")
    name, old = text_of(found, "Name"), text_of(found, "PluginReference")
    if found.get("Enabled") is True:
        raise Exit(1, f"the plugin must be disabled before upgrading: sampan plugin disable {name}")
    remote = parsed.words[1] if len(parsed.words) > 1 else old
    session.say(f"Upgrading plugin {name} from {old} to {remote}")
    if (
        remote != old
        and not parsed.flag("skip-remote-check")
        and not _agreed("Plugin images do not match, are you sure?")
    ):
        raise Exit(1, "plugin upgrade has been canceled")
    granted = _granted(session, parsed, remote, "upgrading")
    _bring(session, f"{path_of(name)}/upgrade", {"remote": remote}, remote, granted)
    session.say(f"Upgraded plugin {name} to {remote}")
    return 0


def _bring(session: Session, path: str, query: dict[str, str | None], remote: str, granted: list[Document]) -> None:
    from sampan.cli.credentials.header import headers_for
    from sampan.cli.pull import show

    body: Json = [*granted]
    show(session.engine.stream("POST", path, query, headers_for(session.config, remote), body), quiet=False, stream=1)


def _granted(session: Session, parsed: Parsed, remote: str, doing: str) -> list[Document]:
    """What the plugin asks for, which the user allows. Exit 1 where not."""
    from sampan.cli.credentials.header import headers_for
    from sampan.client import documents

    headers = headers_for(session.config, remote)
    answer = session.engine.stream("GET", "/plugins/privileges", {"remote": remote}, headers)
    try:
        value = documents.parse(answer.read())
    finally:
        answer.wire.close()
    asked = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if not asked or parsed.flag("grant-all-permissions"):
        return asked
    lines = [f" - {text_of(item, 'Name')}: [{' '.join(texts_of(item, 'Value'))}]" for item in asked]
    session.say("\n".join([f'Plugin "{remote}" is requesting the following privileges:', *lines]))
    if not _agreed("Do you grant the above permissions?"):
        raise Exit(1, f"permission denied while {doing} plugin {remote}")
    return asked


def _agreed(question: str) -> bool:
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _create(session: Session, parsed: Parsed) -> int:
    name, directory = parsed.words
    for part, there in (("config.json", os.path.isfile), ("rootfs", os.path.isdir)):
        if not there(os.path.join(directory, part)):
            raise Exit(1, f"{directory} has no {part}: a plugin is made of config.json and the directory rootfs")
    answer = session.engine.upload(
        "/plugins/create", {"name": name}, _archive(directory, compressed=parsed.flag("compress"))
    )
    answer.read()
    answer.wire.close()
    session.say(name)
    return 0


def _archive(directory: str, *, compressed: bool) -> Iterator[bytes]:
    import tarfile
    import tempfile

    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w:gz" if compressed else "w") as archive:
            archive.add(directory, arcname=".")
        file.seek(0)
        while piece := file.read(_CHUNK):
            yield piece


INSTALL = Command(
    "[OPTIONS] PLUGIN [KEY=VALUE...]",
    "Bring a plugin from a registry, and start it",
    _install,
    (
        Option("alias", "string", "Name that it has here"),
        Option("disable", "bool", "Do not start it"),
        TRUST,
        _GRANT,
    ),
    words=(1, None),
    examples=("plugin install vieux/sshfs DEBUG=1", "plugin install --alias ssh --disable vieux/sshfs"),
)
UPGRADE = Command(
    "[OPTIONS] PLUGIN [REMOTE]",
    "Bring another version of a plugin that is disabled",
    _upgrade,
    (TRUST, _GRANT, Option("skip-remote-check", "bool", "Do not ask where the other version has another name")),
    words=(1, 2),
    examples=("plugin upgrade vieux/sshfs", "plugin upgrade ssh vieux/sshfs:next"),
)
CREATE = Command(
    "[OPTIONS] PLUGIN PLUGIN-DATA-DIR",
    "Make a plugin of a directory with config.json and rootfs",
    _create,
    (Option("compress", "bool", "Send it compressed with gzip"),),
    words=(2, 2),
    examples=("plugin create team/plugin ./plugin",),
)
