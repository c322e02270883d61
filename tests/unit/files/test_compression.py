import bz2
import gzip
import io
import lzma
import os

import pytest
import zstandard

from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive

DATA = os.urandom(1000) * 300 + bytes(100_000)
PACKED = {
    "gzip": gzip.compress(DATA),
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(DATA),
    "plain": DATA,
}


@pytest.mark.parametrize("kind", PACKED)
def test_told_by_its_first_bytes(kind: str) -> None:
    assert decompressed(io.BytesIO(PACKED[kind])).read() == DATA


@pytest.mark.parametrize("kind", PACKED)
def test_members_one_after_the_other(kind: str) -> None:
    assert decompressed(io.BytesIO(PACKED[kind] * 2)).read() == DATA * 2


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_truncated(kind: str) -> None:
    with pytest.raises(BadArchive, match=r"^unexpected EOF$|damaged"):
        decompressed(io.BytesIO(PACKED[kind][:-30])).read()


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_damaged(kind: str) -> None:
    data = bytearray(PACKED[kind])
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BadArchive):
        decompressed(io.BytesIO(bytes(data))).read()


@pytest.mark.parametrize("size", [0, 1, 5, 6, 7])
def test_short_plain_streams(size: int) -> None:
    assert decompressed(io.BytesIO(b"x" * size)).read() == b"x" * size


def test_reads_are_exact() -> None:
    stream = decompressed(io.BytesIO(PACKED["gzip"]))
    assert [len(stream.read(70_000)) for _ in range(7)] == [70_000] * 5 + [50_000, 0]


def test_a_bomb_is_given_in_pieces() -> None:
    stream = decompressed(io.BytesIO(gzip.compress(bytes(50 << 20))))
    assert len(stream.read(1 << 20)) == 1 << 20
