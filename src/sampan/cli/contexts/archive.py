"""A context as an archive, which may come from anywhere: meta.json, and files two names below tls/."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib

from sampan.cli.contexts.store import MAX_FILE, Context
from sampan.cli.failures import Exit
from sampan.client import documents
from sampan.files.tar_reader import BLOCK, DIRECTORY, FILE, BadArchive, TarReader, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_META = "meta.json"
_MAX_ENTRIES = 1000
_NO_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises over damaged archives: it believes their offsets, flags and names."""


def packed(context: Context) -> bytes:
    """A tar archive, as `docker context export` makes it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        _add(archive, _META, documents.write(context.meta).encode("utf-8", "surrogateescape"), 0o644)
        _add(archive, "tls", None, 0o700)
        for endpoint, files in context.material.items():
            _add(archive, f"tls/{endpoint}", None, 0o700)
            for name, data in files.items():
                _add(archive, f"tls/{endpoint}/{name}", data, 0o600)
    return file.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes | None, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if data is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data or b""))


def unpacked(data: bytes, name: str) -> Context:
    """The context that the archive holds, under another name. Exit for what is no archive of one.

    Nothing is unpacked to a file: names are looked at here, and written by the store below directories of its own.
    """
    if len(data) > MAX_FILE:
        raise Exit(1, f"an archive of a context has {MAX_FILE} bytes at most")
    context = Context({}, {})
    try:
        for path, content in _zipped(data) if zipfile.is_zipfile(io.BytesIO(data)) else _tarred(data):
            _take(context, path, content)
    except (BadArchive, *_NO_ZIP) as error:
        raise Exit(1, f"invalid context: no archive: {error}") from error
    if not context.meta:
        raise Exit(1, "invalid context: no metadata found")
    context.meta["Name"] = name
    return context


def _take(context: Context, path: str, content: bytes) -> None:
    if path == _META:
        try:
            context.meta = documents.document(content)
        except documents.MalformedDocument as error:
            raise Exit(1, f"{_META}: {error}") from error
        return
    top, *names = path.split("/")
    if top != "tls" or len(names) != 2 or not all(map(_is_plain, names)):
        raise Exit(1, f"{path}: invalid context file")
    context.material.setdefault(names[0], {})[names[1]] = content


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and len(name) < 200 and name.isprintable() and "\\" not in name


def _tarred(data: bytes) -> Iterator[tuple[str, bytes]]:
    # Docker's archives stop where their last file does: no padding, and no end.
    file = io.BytesIO(data + bytes(-len(data) % BLOCK + 2 * BLOCK))
    archive = TarReader(file.read)
    for entry in archive:
        if archive.entries > _MAX_ENTRIES:
            raise Exit(1, f"an archive of a context has {_MAX_ENTRIES} files at most")
        if entry.kind == DIRECTORY:
            continue
        name = str(entry.name, "utf-8", "replace")
        if entry.kind != FILE or entry.regions is not None:
            raise Exit(1, f"{name}: invalid context file")
        content = archive.read(MAX_FILE)
        if file.tell() > len(data):
            raise Truncated
        yield name, content


def _zipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    left = MAX_FILE
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if len(archive.infolist()) > _MAX_ENTRIES:
            raise Exit(1, f"an archive of a context has {_MAX_ENTRIES} files at most")
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Exit(1, f"{entry.filename}: invalid context file")
            # What it says of its size is not believed: no more than `left` is ever made of it.
            with archive.open(entry) as file:
                content = file.read(left + 1)
            if len(content) > left:
                raise Exit(1, f"{entry.filename}: invalid context file")
            left -= len(content)
            yield entry.filename, content
