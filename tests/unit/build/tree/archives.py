"""Tars as a client sends them."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping

import zstandard

_COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}

Content = bytes | str | None
"""bytes: a file; text: a symbolic link to it; None: a directory."""


def packed(
    files: Mapping[str, Content], mode: int = 0o644, mtime: int = 1_000_000_000, compression: str = ""
) -> io.BytesIO:
    """A tar of the files, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mtime = mtime
            member.mode = mode
            member.uid = member.gid = 1234
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return io.BytesIO(_COMPRESSIONS[compression](out.getvalue()))
