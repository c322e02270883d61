"""`builder mount-export` and `mount-import`: the files of a cache mount as a tar."""

from __future__ import annotations

import os

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.progress import Meter
from sampan.cli.verbs.archives import fetch, pieces_of, size_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _export(session: Session, parsed: Parsed) -> int:
    target = f"/build/sampan/mount?id={quoted(parsed.words[0])}"
    return fetch(session, parsed, target, "exporting", "failed to export the cache mount")


def _import(session: Session, parsed: Parsed) -> int:
    path = parsed.text("input") or "-"
    if path == "-" and os.isatty(0):
        raise Exit(1, "requested import from stdin, but stdin is empty")
    query = {name: parsed.text(name) or None for name in ("mode", "uid", "gid")}
    pieces = Meter("importing", size_of(path))(pieces_of(path))
    answer = session.engine.upload("/build/sampan/mount", {"id": parsed.words[0], **query}, pieces, method="PUT")
    answer.wire.close()
    return 0


EXPORT = Command(
    "[OPTIONS] ID",
    "Write the files of a cache mount (RUN --mount=type=cache,id=ID, or its target) to a tar archive",
    _export,
    (Option("output", "string", "Write this file; stdout without it", "o", completes="file"),),
    words=(1, 1),
    examples=("builder mount-export pip -o pip.tar", "builder mount-export /root/.cache > cache.tar"),
)
IMPORT = Command(
    "[OPTIONS] ID",
    "Let a cache mount be what a tar archive holds",
    _import,
    (
        Option("gid", "string", "What the Dockerfile gives as gid="),
        Option("input", "string", "Read this file; stdin without it", "i", completes="file"),
        Option("mode", "string", "What it gives as mode=, in octal"),
        Option("uid", "string", "What it gives as uid="),
    ),
    words=(1, 1),
    examples=("builder mount-import pip -i pip.tar", "builder mount-import --uid 1000 /home/me/.cache < cache.tar"),
)
