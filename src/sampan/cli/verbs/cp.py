"""`cp`: files and directories between a container and this machine; "-" is a tar on stdin or stdout."""

from __future__ import annotations

import os
import sys

from sampan.cli.copy import paths
from sampan.cli.copy.paths import CopyInfo
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.progress import Meter
from sampan.cli.output.units import decimal_size
from sampan.client import documents
from sampan.client.documents import number_of, text_of
from sampan.client.engine import quoted
from sampan.client.failures import BrokenConversation, RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_STAT = "x-docker-container-path-stat"
# Bits of Go's file modes, as the API sends them.
_DIRECTORY, _LINK, _IRREGULAR = 1 << 31, 1 << 27, 1 << 26 | 1 << 25 | 1 << 24
_CHUNK = 1024 * 1024


def _cp(session: Session, parsed: Parsed) -> int:
    source, target = parsed.words
    if not source:
        raise Exit(1, "source can not be empty")
    if not target:
        raise Exit(1, "destination can not be empty")
    source_container, source_path = paths.split_argument(source)
    target_container, target_path = paths.split_argument(target)
    if source_container and target_container:
        raise Exit(1, "copying between containers is not supported")
    if not source_container and not target_container:
        raise Exit(1, "must specify at least one container source")
    if source_container:
        return _out(session, parsed, source_container, source_path, target_path)
    return _in(session, parsed, source_path, target_container, target_path)


def _quiet(parsed: Parsed) -> bool:
    return parsed.flag("quiet") if parsed.given("quiet") else not os.isatty(1)


class _Counted:
    """Bytes on their way, counted, with a bar on a terminal."""

    def __init__(self, title: str, quiet: bool) -> None:
        self._quiet = quiet
        self._meter = None if quiet else Meter(title, 0)
        self.size = 0

    def __call__(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in self._meter(pieces) if self._meter is not None else pieces:
            self.size += len(piece)
            yield piece

    def done(self, session: Session, place: str) -> None:
        if not self._quiet:
            session.warn(f"Successfully copied {decimal_size(self.size)} to {place}")


def _stat(session: Session, container: str, path: str) -> Document | None:
    """What is at the container's path; None where the daemon does not say."""
    try:
        headers = session.engine.fetch_head(f"/containers/{quoted(container)}/archive", {"path": path})
    except RefusedByDaemon:
        return None
    return _decoded(headers)


def _decoded(headers: Mapping[str, str]) -> Document:
    from binascii import Error, a2b_base64

    try:
        return documents.document(a2b_base64(headers.get(_STAT, "")))
    except Error as error:
        raise BrokenConversation("the daemon did not say what it sends") from error


def _out(session: Session, parsed: Parsed, container: str, path: str, target: str) -> int:
    goal = CopyInfo("-", True, True) if target == "-" else paths.local_target(target)
    rebase = ""
    if parsed.flag("follow-link"):
        found = _stat(session, container, path)
        if found is not None and number_of(found, "mode") & _LINK:
            path, rebase = paths.rebased(path, paths.link_beside(path, text_of(found, "linkTarget")))
    answer = session.engine.stream("GET", f"/containers/{quoted(container)}/archive", {"path": path})
    try:
        if target == "-":
            sys.stdout.flush()
            for piece in answer.pieces():
                _write(1, piece)
            return 0
        is_directory = bool(number_of(_decoded(answer.headers), "mode") & _DIRECTORY)
        directory, name = paths.arrange(CopyInfo(path, True, is_directory, rebase), goal)
        from sampan.cli.copy.unpacking import unpack

        counted = _Counted("Copying from container -", _quiet(parsed))
        unpack(counted(answer.pieces()), directory, paths.base(paths.with_ending(paths.clean("/" + path), path)), name)
    finally:
        answer.wire.close()
    counted.done(session, goal.path)
    return 0


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _in(session: Session, parsed: Parsed, path: str, container: str, target: str) -> int:
    goal = _container_target(session, container, target)
    if path == "-":
        if not goal.is_directory:
            raise Exit(1, f'destination "{container}:{target}" must be a directory')
        directory, pieces = goal.path, _stdin()
    else:
        source = paths.local_source(path, parsed.flag("follow-link"))
        directory, name = paths.arrange(source, goal)
        from sampan.cli.copy.packing import pack

        pieces = pack(source, name)
    counted = _Counted("Copying to container -", _quiet(parsed))
    query = {
        "path": directory,
        "noOverwriteDirNonDir": "true",
        "copyUIDGID": "true" if parsed.flag("archive") else None,
    }
    answer = session.engine.upload(f"/containers/{quoted(container)}/archive", query, counted(pieces), method="PUT")
    answer.wire.close()
    counted.done(session, f"{container}:{goal.path}")
    return 0


def _container_target(session: Session, container: str, path: str) -> CopyInfo:
    """The container's end that is written to, a link at its end followed."""
    found = _stat(session, container, path)
    if found is not None and number_of(found, "mode") & _LINK:
        path = paths.link_beside(path, text_of(found, "linkTarget"))
        found = _stat(session, container, path)
    if found is None:
        return CopyInfo(path, False, False)
    mode = number_of(found, "mode")
    if mode & _IRREGULAR:
        raise Exit(1, f'destination "{container}:{path}" must be a directory or a regular file')
    return CopyInfo(path, True, bool(mode & _DIRECTORY))


def _stdin() -> Iterator[bytes]:
    while data := os.read(0, _CHUNK):
        yield data


CP = Command(
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        sampan cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files between a container and this machine",
    _cp,
    (
        Option("archive", "bool", "Give what is copied to the container's own user", "a"),
        Option("follow-link", "bool", "Copy what a link in SRC_PATH leads to", "L"),
        Option("quiet", "bool", "Show no progress; nobody sees it without a terminal", "q"),
    ),
    words=(2, 2),
    completes="file",
    examples=("cp web:/etc/nginx .", "cp ./site/. web:/usr/share/nginx/html", "cp web:/var/log - | tar -t"),
)
