"""Asking the daemon for an image that it lacks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session


def pull_image(session: Session, reference: str, platform: str, quiet: bool) -> None:
    """POST /images/create, its progress on stderr. Exit or RefusedByDaemon when it fails."""
    from sampan.cli.credentials.header import headers_for
    from sampan.cli.output.progress import Progress, messages

    name, tag = split_reference(reference)
    query = {"fromImage": name, "tag": tag, "platform": platform or None}
    headers = headers_for(session.config, name)
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
