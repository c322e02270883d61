"""`volume export` and `volume import`: the files of a volume as a tar."""

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
    target = f"/volumes/{quoted(parsed.words[0])}/sampan/archive"
    return fetch(session, parsed, target, "exporting", "failed to export the volume")


def _import(session: Session, parsed: Parsed) -> int:
    path = parsed.words[1] if len(parsed.words) > 1 else "-"
    if path == "-" and os.isatty(0):
        raise Exit(1, "requested import from stdin, but stdin is empty")
    pieces = Meter("importing", size_of(path))(pieces_of(path))
    answer = session.engine.upload(f"/volumes/{quoted(parsed.words[0])}/sampan/archive", {}, pieces, method="PUT")
    answer.wire.close()
    return 0


EXPORT = Command(
    "[OPTIONS] VOLUME",
    "Write the files of a volume to a tar archive",
    _export,
    (Option("output", "string", "Write this file; stdout without it", "o", completes="file"),),
    words=(1, 1),
    completes="volume",
    examples=("volume export data -o data.tar", "volume export data | ssh elsewhere sampan volume import data -"),
)
IMPORT = Command(
    "VOLUME [FILE|-]",
    "Unpack a tar archive, compressed or not, over what a volume holds",
    _import,
    (),
    words=(1, 2),
    completes="volume",
    examples=("volume import data data.tar", "volume import data < data.tar.gz"),
)
