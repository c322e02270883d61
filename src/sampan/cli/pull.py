"""Asking the daemon for an image that it lacks."""

from __future__ import annotations

from sampan.client import documents
from sampan.client.documents import object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session
    from sampan.client.documents import Document


def pull_image(session: Session, reference: str, platform: str, quiet: bool) -> None:
    """POST /images/create, its progress on stderr. Exit or RefusedByDaemon when it fails."""
    from sampan.cli.output.progress import Progress, messages

    name, tag = split_reference(reference)
    query = {"fromImage": name, "tag": tag, "platform": platform or None}
    headers = _credentials(session.config, name)
    answer = session.engine.stream("POST", "/images/create", query, headers)
    progress = Progress(2, quiet)
    try:
        for message in messages(answer.pieces()):
            progress.show(message)
    finally:
        answer.wire.close()


def split_reference(reference: str) -> tuple[str, str]:
    """(name, tag or digest); "latest" where there is neither."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    if colon and "/" not in tag:
        return head, tag
    return reference, "latest"


def _credentials(config: Document, name: str) -> list[tuple[str, str]]:
    """X-Registry-Auth from the auths of config.json. Credential helpers are not asked: that is the registry client's room."""
    first, slash, _ = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    registry = first if is_host else "https://index.docker.io/v1/"
    entry = object_of(object_of(config, "auths"), registry)
    token = text_of(entry, "auth")
    if not token:
        return []
    from binascii import Error, a2b_base64, b2a_base64

    try:
        user, _, password = str(a2b_base64(token), "utf-8", "replace").partition(":")
    except Error:
        return []
    login: Document = {"username": user, "password": password.rstrip("\0"), "serveraddress": registry}
    encoded = b2a_base64(documents.write(login).encode(), newline=False).translate(bytes.maketrans(b"+/", b"-_"))
    return [("X-Registry-Auth", str(encoded, "ascii"))]
