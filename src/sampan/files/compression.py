"""Compressed streams in, told by their first bytes, in this process and with bounded memory.

No program is run: a decompressor found by name could be the container's own (CVE-2014-9357, CVE-2026-41567).
"""

import io
from typing import BinaryIO, cast

_BUFFER = 1 << 20
_SNIFFED = 6
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


def is_compressed(first: bytes) -> bool:
    """Whether a stream that begins with these bytes (six are enough) is one that `decompressed` would unpack."""
    return first.startswith((_GZIP, _BZIP2, _XZ, _ZSTD)) or int.from_bytes(first[:4], "little") in _SKIPPABLE


def decompressed(source: BinaryIO) -> BinaryIO:
    """What `source` holds, to be read with `read`, decompressed where its first bytes are those of gzip, zstd, bzip2 or xz.

    `source.read(n)` must return n bytes unless the stream ends. Reading raises BadArchive for damaged or truncated data and
    for a window of more than `decompressors.WINDOW_LIMIT`, OSError as `source` does. Closing it leaves `source` open.
    """
    first = source.read(_SNIFFED)
    whole = cast("BinaryIO", _Rejoined(first, source))
    if not is_compressed(first):
        return whole
    from sampan.files import decompressors

    if first.startswith(_GZIP):
        raw = decompressors.gzip(whole)
    elif first.startswith(_BZIP2):
        raw = decompressors.bzip2(whole)
    elif first.startswith(_XZ):
        raw = decompressors.xz(whole)
    else:
        raw = decompressors.zstd(whole)
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


class _Rejoined:
    """The bytes that were looked at, then the rest of the stream: read as the stream is, and copied no more than it."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        first = self._first
        if not first:
            return self._rest.read(size)
        if 0 <= size < len(first):
            self._first = first[size:]
            return first[:size]
        self._first = b""
        return first + self._rest.read(size - len(first) if size >= 0 else -1)
