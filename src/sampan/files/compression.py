"""Compressed streams in, told by their first bytes, in this process and with bounded memory.

No program is run: a decompressor found by name could be the container's own (CVE-2014-9357, CVE-2026-41567).
"""

import bz2
import io
import lzma
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

import zstandard
from isal import isal_zlib

from sampan.files.tar_reader import BadArchive, Truncated

WINDOW_LIMIT = 128 << 20
"""Bytes that zstd or xz may ask for; `zstd --long=27` and `xz -9` need no more."""
_CHUNK = 1 << 16
_BUFFER = 1 << 20
_SNIFFED = 6
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
# The type stubs call it an instance.
_GZIP_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


class _Member(Protocol):
    """One compressed member, as bz2 and lzma have it: keeps input that it was given and has not used."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipMember:
    """The same for gzip, whose library gives unused input back instead of keeping it."""

    def __init__(self) -> None:
        self._inner = isal_zlib.decompressobj(wbits=31)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        result = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        return result


class _Members(io.RawIOBase):
    """The decompressed bytes of one or more members one after the other; zeros may follow the last."""

    def __init__(self, source: BinaryIO, new_member: Callable[[], _Member], name: str) -> None:
        self._source = source
        self._new_member = new_member
        self._member: _Member | None = new_member()
        self._pending = b""
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        try:
            data = self._some(len(buffer))
        except (_GZIP_ERROR, OSError, lzma.LZMAError, ValueError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise BadArchive(f"the {self._name} data is damaged: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def _some(self, limit: int) -> bytes:
        while self._member is not None:
            data = self._pending or b""
            self._pending = b""
            # A member may hold input whose output did not fit before: it is asked without input first.
            result = self._member.decompress(data, limit)
            if not result and not self._member.eof:
                fresh = self._source.read(_CHUNK)
                if not fresh:
                    raise Truncated
                result = self._member.decompress(fresh, limit)
            if self._member.eof:
                self._turn()
            if result:
                return result
        return b""

    def _turn(self) -> None:
        """Begin the next member where one follows."""
        assert self._member is not None
        rest = self._member.unused_data
        while not rest.strip(b"\0"):
            rest = self._source.read(_CHUNK)
            if not rest:
                self._member = None
                return
        self._pending = rest.lstrip(b"\0")
        self._member = self._new_member()


class _Zstd(io.RawIOBase):
    """zstd frames; the library's own reader bounds input, output and window."""

    def __init__(self, source: BinaryIO) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT)
        self._reader = decompressor.stream_reader(source, read_size=_CHUNK, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        try:
            return self._reader.readinto(buffer)
        except zstandard.ZstdError as error:
            raise BadArchive(f"the zstd data is damaged: {error}") from error


def is_compressed(first: bytes) -> bool:
    """Whether a stream that begins with these bytes (six are enough) is one that `decompressed` would unpack."""
    return first.startswith((_GZIP, _BZIP2, _XZ, _ZSTD)) or int.from_bytes(first[:4], "little") in _SKIPPABLE


def decompressed(source: BinaryIO) -> BinaryIO:
    """A buffered reader of what `source` holds, decompressed where its first bytes are those of gzip, zstd, bzip2 or xz.

    `source.read(n)` must return n bytes unless the stream ends. Reading raises BadArchive for damaged or truncated data and
    for a window of more than WINDOW_LIMIT, OSError as `source` does. Closing it leaves `source` open.
    """
    first = source.read(_SNIFFED)
    whole = cast("BinaryIO", io.BufferedReader(_Rejoined(first, source), _BUFFER))
    raw: io.RawIOBase
    if first.startswith(_GZIP):
        raw = _Members(whole, _GzipMember, "gzip")
    elif first.startswith(_BZIP2):
        raw = _Members(whole, bz2.BZ2Decompressor, "bzip2")
    elif first.startswith(_XZ):
        raw = _Members(whole, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_LIMIT), "xz")
    elif first.startswith(_ZSTD) or int.from_bytes(first[:4], "little") in _SKIPPABLE:
        raw = _Zstd(whole)
    else:
        return whole
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


class _Rejoined(io.RawIOBase):
    """The bytes that were looked at, then the rest of the stream."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        data = self._first[: len(buffer)]
        if data:
            self._first = self._first[len(data) :]
        else:
            data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
