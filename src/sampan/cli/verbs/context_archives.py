"""`context export` and `import`: a context as an archive, for another machine."""

from __future__ import annotations

import os
import sys

from sampan.cli.contexts import archive
from sampan.cli.contexts.store import MAX_FILE, Contexts, check_name, read_file
from sampan.cli.failures import Exit
from sampan.cli.options import Command
from sampan.files.writing import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _export(session: Session, parsed: Parsed) -> int:
    name, path = parsed.words[0], (parsed.words[1] if len(parsed.words) > 1 else f"{parsed.words[0]}.dockercontext")
    data = archive.packed(Contexts(session).load(name))
    if path == "-":
        if os.isatty(1):
            raise Exit(1, "cowardly refusing to export to a terminal, specify a file path")
        sys.stdout.flush()
        write_all(1, data)
        return 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Exit(1, f"open {path}: {(error.strerror or '').lower()}") from error
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)
    session.warn(f'Written file "{path}"')
    return 0


def _import(session: Session, parsed: Parsed) -> int:
    contexts, (name, path) = Contexts(session), parsed.words
    check_name(name)
    if contexts.exists(name):
        raise Exit(1, f'context "{name}" already exists')
    data = sys.stdin.buffer.read(MAX_FILE + 1) if path == "-" else read_file(path)
    contexts.save(archive.unpacked(data, name))
    session.say(name)
    session.warn(f'Successfully imported context "{name}"')
    return 0


EXPORT = Command(
    "CONTEXT [FILE|-]", "Write a context to a tar archive, its keys included", _export,
    words=(1, 2), completes="context", examples=("context export far", "context export far - | ssh elsewhere …"),
)  # fmt: skip
IMPORT = Command(
    "CONTEXT FILE|-", "Make a context from an archive", _import,
    words=(2, 2), completes="file", examples=("context import far far.dockercontext",),
)  # fmt: skip
