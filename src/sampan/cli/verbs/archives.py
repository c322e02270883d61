"""`load`, `save`, `import`, `export`: images and containers as tar archives."""

from __future__ import annotations

import os
import sys
from stat import S_ISREG

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.progress import Meter, Progress, messages
from sampan.cli.pull import split_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.http import Response

CHUNK = 1024 * 1024


def pieces_of(path: str) -> Iterator[bytes]:
    """The bytes of a file, or of stdin for "-"."""
    try:
        descriptor = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Exit(1, f"open {path}: {(error.strerror or '').lower()}") from error
    try:
        while data := os.read(descriptor, CHUNK):
            yield data
    except OSError as error:
        raise Exit(1, f"read {path}: {(error.strerror or '').lower()}") from error
    finally:
        if descriptor:
            os.close(descriptor)


def _load(session: Session, parsed: Parsed) -> int:
    path = parsed.text("input") or "-"
    if path == "-" and os.isatty(0):
        raise Exit(1, "requested load from stdin, but stdin is empty")
    pieces = pieces_of(path)
    first = next(pieces, b"")  # opened before the daemon is asked for anything
    quiet = parsed.flag("quiet") or not os.isatty(1)
    query = {"quiet": "1" if quiet else "0", "platform": _platform_json(parsed.text("platform")) or None}

    def whole() -> Iterator[bytes]:
        yield first
        yield from pieces

    _show(session.engine.upload("/images/load", query, Meter("loading", size_of(path))(whole())))
    return 0


def _platform_json(text: str) -> str:
    """What the API takes for `os/arch[/variant]`; "" for none."""
    if not text:
        return ""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise Exit(1, f"invalid platform {text!r}: give os/arch or os/arch/variant, such as linux/arm64")
    import json

    return json.dumps(dict(zip(("os", "architecture", "variant"), parts, strict=False)))


def size_of(path: str) -> int:
    """Of a regular file, stdin included; 0 where it cannot be known before the end."""
    found = os.stat(0 if path == "-" else path)
    return found.st_size if S_ISREG(found.st_mode) else 0


def _show(answer: Response) -> None:
    progress = Progress(1)
    try:
        if not answer.headers.get("content-type", "").startswith("application/json"):
            for data in answer.pieces():
                os.write(1, data)
            return
        for message in messages(answer.pieces()):
            progress.show(message)
    finally:
        answer.wire.close()


def _save(session: Session, parsed: Parsed) -> int:
    query = "&".join(f"names={_quoted(name)}" for name in parsed.words)
    if parsed.text("platform"):
        query += f"&platform={_quoted(_platform_json(parsed.text('platform')))}"
    return fetch(session, parsed, f"/images/get?{query}", "saving", "failed to save image")


def _export(session: Session, parsed: Parsed) -> int:
    target = f"/containers/{_quoted(parsed.words[0])}/export"
    return fetch(session, parsed, target, "exporting", "failed to export container")


def fetch(session: Session, parsed: Parsed, target: str, title: str, failed: str) -> int:
    """The archive at `target` into the file that --output names, or to stdout."""
    path = parsed.text("output")
    if not path and os.isatty(1):
        raise Exit(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        _check_directory(path, failed)
    answer = session.engine.stream("GET", target)
    try:
        pieces = Meter(title, 0)(answer.pieces())
        if path:
            _write_file(path, pieces)
        else:
            sys.stdout.flush()
            for data in pieces:
                _write(1, data)
    finally:
        answer.wire.close()
    return 0


def _quoted(name: str) -> str:
    from sampan.client.engine import quoted

    return quoted(name)


def _check_directory(path: str, failed: str) -> None:
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise Exit(1, f'{failed}: invalid output path: directory "{directory}" does not exist')
    if os.path.isdir(path):
        raise Exit(1, f'{failed}: invalid output path: "{path}" must be a regular file')


def _write_file(path: str, pieces: Iterator[bytes]) -> None:
    """Into a file beside `path` first: an archive that breaks off never takes the place of a whole one."""
    partial = f"{path}.{os.getpid()}.part"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for data in pieces:
            _write(descriptor, data)
        os.rename(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _import(session: Session, parsed: Parsed) -> int:
    source = parsed.words[0]
    repository, tag = _reference(parsed.words[1]) if len(parsed.words) > 1 else ("", "")
    remote = source.startswith(("http://", "https://"))
    query = {
        "fromSrc": source if remote else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": parsed.text("message") or None,
        "platform": parsed.text("platform") or None,
    }
    target = "/images/create" + "".join(
        ("&" if position else "?") + f"changes={_quoted(change)}"
        for position, change in enumerate(parsed.many("change"))
    )
    pieces = iter(()) if remote else pieces_of(source)
    answer = session.engine.upload(target, query, pieces)
    _show(answer)
    return 0


def _reference(text: str) -> tuple[str, str]:
    name, tag = split_reference(text)
    return (name, tag) if name != text else (text, "")


LOAD = Command(
    "[OPTIONS]",
    "Load images from a tar archive",
    _load,
    (
        Option("input", "string", "Read this file; stdin without it", "i", completes="file"),
        Option("platform", "string", "Load only what is for this platform (os/arch[/variant])"),
        Option("quiet", "bool", "Show no progress", "q"),
    ),
    examples=("load -i images.tar", "load < images.tar.gz"),
)
SAVE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Write images to a tar archive",
    _save,
    (
        Option("output", "string", "Write this file; stdout without it", "o", completes="file"),
        Option("platform", "string", "Save only what is for this platform (os/arch[/variant])"),
    ),
    words=(1, None),
    completes="image",
    examples=("save -o web.tar web:1.2", "save web | gzip > web.tar.gz"),
)
EXPORT = Command(
    "[OPTIONS] CONTAINER",
    "Write a container's file system to a tar archive",
    _export,
    (Option("output", "string", "Write this file; stdout without it", "o", completes="file"),),
    words=(1, 1),
    completes="container",
    examples=("export -o rootfs.tar web", "export web | sampan import - web:flat"),
)
IMPORT = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Make an image from a tar archive of a file system",
    _import,
    (
        Option("change", "list", "Dockerfile instruction to apply, e.g. 'CMD [\"sh\"]'", "c"),
        Option("message", "string", "Note to keep with the image", "m"),
        Option("platform", "string", "Platform of the image (os[/arch[/variant]])"),
    ),
    words=(1, 2),
    completes="file",
    examples=("import rootfs.tar base:1", "import -c 'CMD [\"sh\"]' - base < rootfs.tar"),
)
