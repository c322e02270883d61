import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sampan.content import partial as rules
from sampan.content.partial import ContentTruncated, DigestMismatch, PartialBusy
from sampan.content.store import Content
from sampan.errors import InvalidParameter
from sampan.files.writing import write_all
from sampan.spec.ids import Digest

DATA = os.urandom(3_000_000)


def _name(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


NAME = _name(DATA)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(tmp_path / "content")


def _begin(content: Content, data: bytes = DATA, count: int = 1_234_567) -> None:
    with content.partial(_name(data), len(data)) as partial:
        partial.write(data[:count])


def test_it_goes_on_after_a_close_and_after_a_restart(tmp_path: Path, content: Content) -> None:
    _begin(content)
    assert not content.has(NAME)
    with content.partial(NAME, len(DATA)) as partial:
        assert (partial.offset, partial.resumed) == (1_234_567, True)
        partial.write(DATA[1_234_567:2_000_000])
    again = Content(tmp_path / "content")
    assert [(one.digest, one.size) for one in again.partials.waiting()] == [(NAME, 2_000_000)]
    claimed: list[Digest] = []
    with again.partial(NAME, len(DATA)) as partial:
        assert partial.offset == 2_000_000
        partial.write(DATA[2_000_000:])
        partial.commit(claimed.append)
    assert claimed == [NAME]
    assert again.read(NAME, len(DATA)) == DATA
    assert os.listdir(tmp_path / "content/ingest") == []


def test_it_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from sampan.content.store import Content;"
        "partial = Content(Path(sys.argv[1])).partial(sys.argv[2], int(sys.argv[3]));"
        "partial.write(sys.stdin.buffer.read()); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = tmp_path / "content"
    killed = subprocess.run(
        [sys.executable, "-c", program, str(root), NAME, str(len(DATA))], input=DATA[:99], check=False
    )
    assert killed.returncode == -9
    with Content(root).partial(NAME, len(DATA)) as partial:
        assert partial.offset == 99
        partial.write(DATA[99:])
        partial.commit()
    assert Content(root).read(NAME, len(DATA)) == DATA


def test_what_is_wrong_goes_and_can_be_written_again(content: Content) -> None:
    with content.partial(NAME, len(DATA)) as partial:
        partial.write(bytes(1000))
    with content.partial(NAME, len(DATA)) as partial:
        partial.write(DATA[1000:])
        with pytest.raises(DigestMismatch):
            partial.commit()
        assert (partial.offset, partial.resumed) == (0, False)
        partial.write(DATA)
        partial.commit()
    assert content.has(NAME)
    other = Digest("sha256:" + "1" * 64)
    with content.partial(other, 3) as partial:
        partial.write(b"abc")
        with pytest.raises(DigestMismatch):
            partial.commit()
    assert content.partials.waiting() == []


def test_never_more_and_not_less_than_announced(tmp_path: Path, content: Content) -> None:
    with content.partial(NAME, 10) as partial:
        partial.write(b"12345")
        with pytest.raises(InvalidParameter, match="longer than 10 bytes"):
            partial.write(b"678901")
        assert partial.offset == 0
    assert os.listdir(tmp_path / "content/ingest") == []
    with content.partial(NAME, len(DATA)) as partial:
        partial.write(DATA[:-1])
        with pytest.raises(ContentTruncated, match="ended after 2999999 of 3000000 bytes"):
            partial.commit()
        partial.write(DATA[-1:])
        partial.commit()
    _begin(content, b"longer than asked for", 15)
    with content.partial(_name(b"longer than asked for"), 14) as partial:
        assert partial.offset == 0, "more bytes than the whole has cannot be its beginning"


def test_an_empty_blob(content: Content) -> None:
    with content.partial(_name(b""), 0) as partial:
        partial.commit()
    assert content.size(_name(b"")) == 0


def test_a_broken_write_leaves_what_was_hashed(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_all

    def half(descriptor: int, data: bytes | memoryview) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with content.partial(NAME, len(DATA)) as partial:
        partial.write(DATA[:1000])
        monkeypatch.setattr(rules, "write_all", half)
        with pytest.raises(OSError, match="No space"):
            partial.write(DATA[1000:2000])
        monkeypatch.setattr(rules, "write_all", whole)
        assert partial.offset == 1000
        partial.write(DATA[1000:])
        partial.commit()
    assert content.read(NAME, len(DATA)) == DATA


def test_one_writer_at_a_time(content: Content) -> None:
    first = content.partial(NAME, len(DATA))
    with pytest.raises(PartialBusy, match="another operation"):
        content.partial(NAME, len(DATA))
    content.partials.discard(NAME)
    came: list[bool] = []

    def second() -> None:
        with content.partial(NAME, len(DATA), wait=30.0):
            came.append(content.has(NAME))

    thread = threading.Thread(target=second)
    thread.start()
    first.write(DATA)
    first.commit()
    thread.join()
    assert came == [True]


def test_partials_do_not_pile_up(content: Content, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rules, "COUNT_LIMIT", 3)
    monkeypatch.setattr(rules, "BYTES_LIMIT", 1000)
    files = []
    for index in range(5):
        data = bytes([index]) * 100
        _begin(content, data, 50)
        files.append(tmp_path / "content/ingest" / f"partial-{_name(data).removeprefix('sha256:')}")
        os.utime(files[-1], (time.time() - 100 + index,) * 2)
    assert [path.exists() for path in files] == [False, False, True, True, True]
    data = b"x" * 2000
    with content.partial(_name(data), 2000) as partial:
        partial.write(data[:920])
        content.partials.trim()
        assert [path.exists() for path in files[2:]] == [True, True, True], "what is being written does not count"
    assert [path.exists() for path in files[2:]] == [False, False, True]
    os.utime(files[4], (time.time() - rules.AGE_LIMIT - 60,) * 2)
    again = Content(tmp_path / "content")
    assert [one.digest for one in again.partials.waiting()] == [_name(data)]


def test_what_is_no_partial_is_not_one(tmp_path: Path, content: Content) -> None:
    ingest = tmp_path / "content/ingest"
    (ingest / "partial-../x".replace("/", "_")).write_bytes(b"")
    (ingest / "partial-").write_bytes(b"")
    (ingest / f"partial-{'a' * 64}").symlink_to("/etc/passwd")
    again = Content(tmp_path / "content")
    assert os.listdir(ingest) == [f"partial-{'a' * 64}"]
    with pytest.raises(OSError, match="symbolic links"):
        again.partial(Digest("sha256:" + "a" * 64), 5)
    for digest, size in (("sha256:../../etc/passwd", 1), ("sha512:" + "a" * 128, 1), (NAME, -1)):
        with pytest.raises(InvalidParameter):
            again.partial(Digest(digest), size)


def test_a_blob_that_came_another_way_leaves_no_half(tmp_path: Path, content: Content) -> None:
    _begin(content)
    content.put(DATA)
    assert content.partials.waiting() == []
    with content.partial(NAME, len(DATA)) as partial:
        partial.write(DATA[:10])
    assert content.partials.waiting() == [], "another transfer was faster"
    (tmp_path / "content/ingest" / f"partial-{NAME.removeprefix('sha256:')}").write_bytes(DATA[:10])
    assert [one.digest for one in content.partials.waiting()] == [NAME]
    assert Content(tmp_path / "content").partials.waiting() == [], "left by a kill between the two"
