"""The decompressors, apart from `compression`: their libraries (3 MB) are loaded when something compressed is met."""

import bz2
import io
import lzma
from collections.abc import Callable
from typing import BinaryIO, Protocol

import zstandard
from isal import isal_zlib

from sampan.files.tar_reader import BadArchive, Truncated

WINDOW_LIMIT = 128 << 20
"""Bytes that zstd or xz may ask for; `zstd --long=27` and `xz -9` need no more."""
_CHUNK = 1 << 16
# The type stubs call it an instance.
_GZIP_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def gzip(source: BinaryIO) -> io.RawIOBase:
    """What is in gzip members."""
    return _Members(source, _GzipMember, "gzip")


def bzip2(source: BinaryIO) -> io.RawIOBase:
    """What is in bzip2 streams."""
    return _Members(source, bz2.BZ2Decompressor, "bzip2")


def xz(source: BinaryIO) -> io.RawIOBase:
    """What is in xz streams."""
    return _Members(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_LIMIT), "xz")


def zstd(source: BinaryIO) -> io.RawIOBase:
    """What is in zstd frames."""
    return _Zstd(source)


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
