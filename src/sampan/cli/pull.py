"""Asking the daemon for an image from a registry, and drawing how it comes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session
    from sampan.client.engine import Query
    from sampan.client.http import Response


def pull_image(session: Session, reference: str, platform: str, quiet: bool, stream: int = 2) -> None:
    """POST /images/create, its progress on descriptor `stream`. Exit or RefusedByDaemon when it fails."""
    name, tag = split_reference(reference)
    pull(session, name, {"fromImage": name, "tag": tag, "platform": platform or None}, quiet, stream)


def pull(session: Session, name: str, query: Query, quiet: bool, stream: int) -> None:
    """The same for any query: without a tag all of them are pulled."""
    from sampan.cli.credentials.header import headers_for

    show(session.engine.stream("POST", "/images/create", query, headers_for(session.config, name)), quiet, stream)


def show(answer: Response, quiet: bool, stream: int) -> None:
    """Draw an answer that is a stream of progress. Exit 1 where it ends with an error."""
    from sampan.cli.output.progress import Progress, messages

    progress = Progress(stream, quiet)
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
