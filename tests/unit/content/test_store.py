import hashlib
import io
import os
from pathlib import Path

import pytest

from sampan.content.partial import DigestMismatch
from sampan.content.store import Content
from sampan.errors import InvalidParameter, NotFound
from sampan.spec.ids import Digest

DATA = b"bytes" * 1000
NAME = Digest("sha256:" + hashlib.sha256(DATA).hexdigest())


def test_in_and_out(tmp_path: Path) -> None:
    content = Content(tmp_path / "content")
    claimed: list[Digest] = []
    assert content.ingest(io.BytesIO(DATA).read, 10**6, claim=claimed.append) == (NAME, len(DATA))
    assert claimed == [NAME]
    assert content.has(NAME)
    assert content.size(NAME) == len(DATA)
    assert content.read(NAME, 10**6) == DATA
    with content.open(NAME) as stream:
        assert stream.read() == DATA
    assert list(content.list()) == [NAME]
    assert (tmp_path / "content/oci-layout").exists()
    content.sync()
    content.delete(NAME)
    content.delete(NAME)
    assert not content.has(NAME)
    for call in (content.size, content.open):
        with pytest.raises(NotFound):
            call(NAME)


def test_refused_bytes_leave_nothing(tmp_path: Path) -> None:
    content = Content(tmp_path / "content")

    def broken(size: int) -> bytes:
        raise OSError("the source is gone")

    with pytest.raises(DigestMismatch):
        content.ingest(io.BytesIO(DATA).read, 10**6, Digest("sha256:" + "0" * 64))
    with pytest.raises(InvalidParameter, match="longer"):
        content.ingest(io.BytesIO(DATA).read, 10)
    with pytest.raises(OSError, match="gone"):
        content.ingest(broken, 10)
    assert list(content.list()) == []
    assert os.listdir(tmp_path / "content/ingest") == []


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    content = Content(tmp_path / "content")
    content.put(DATA)
    path = tmp_path / "content/blobs/sha256" / NAME.removeprefix("sha256:")
    path.write_bytes(b"x" + DATA[1:])
    with pytest.raises(DigestMismatch):
        content.read(NAME, 10**6)
    with pytest.raises(InvalidParameter, match="longer"):
        content.read(NAME, 10)


def test_an_interrupted_ingest_is_cleaned(tmp_path: Path) -> None:
    Content(tmp_path / "content")
    (tmp_path / "content/ingest/half").write_bytes(b"x")
    Content(tmp_path / "content")
    assert os.listdir(tmp_path / "content/ingest") == []


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 128, "", "x"])
def test_a_digest_is_never_a_path(tmp_path: Path, digest: str) -> None:
    content = Content(tmp_path / "content")
    with pytest.raises(InvalidParameter):
        content.open(Digest(digest))
    with pytest.raises(InvalidParameter):
        content.delete(Digest(digest))
