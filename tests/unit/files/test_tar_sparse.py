"""Maps of sparse files: read in every form, and refused where they lie."""

import io
import os
import subprocess
from pathlib import Path

import pytest

from sampan.files.tar_reader import BadArchive, TarReader
from sampan.files.tar_sparse import BadMap, listed_map
from tests.security.hostile_tars import END, old_sparse, pax_sparse

HOLE = 1 << 20


def only(archive: bytes) -> tuple[int, tuple[tuple[int, int], ...] | None, bytes]:
    reader = TarReader(io.BytesIO(archive).read)
    entry = reader.next()
    assert entry is not None
    held = reader.read(1 << 20)
    assert reader.next() is None
    return entry.size, entry.regions, held


@pytest.mark.parametrize("version", [b"0.0", b"0.1", b"1.0"])
def test_pax(version: bytes) -> None:
    assert only(pax_sparse(version, b"s", [0, 1, 9, 2], 20, b"abc") + END) == (20, ((0, 1), (9, 2)), b"abc")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 25, 26, 60])
def test_old(count: int) -> None:
    regions = [(at * 3, 2) for at in range(count)]
    data = os.urandom(2 * count)
    assert only(old_sparse(b"s", regions, 500, data) + END) == (500, tuple(regions), data)


@pytest.mark.parametrize(
    "options", [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)
def test_what_gnu_tar_writes(tmp_path: Path, options: list[str]) -> None:
    with open(tmp_path / "s", "wb") as file:
        for at in range(40):
            file.seek(at * HOLE)
            file.write(b"%d" % at * 5000)
        file.truncate(41 * HOLE)
    made = subprocess.run(["tar", "-C", tmp_path, *options, "-cSf", "-", "s"], check=True, capture_output=True).stdout
    assert len(made) < 10 * HOLE
    size, regions, _ = only(made)
    assert size == 41 * HOLE
    assert regions is not None
    assert [offset // HOLE for offset, _ in regions if not offset % HOLE] == list(range(40))


def test_what_a_map_may_not_say() -> None:
    for numbers, size in (("0", "9"), ("0,5,4,1", "9"), ("0,10", "9"), ("x,1", "9"), ("0,1", ""), ("0,1", "9" * 30)):
        with pytest.raises(BadMap):
            listed_map(numbers.encode().split(b","), size.encode())
    with pytest.raises(BadArchive, match="which is not what its map says"):
        only(pax_sparse(b"0.1", b"s", [0, 1], 9, b"abc") + END)
