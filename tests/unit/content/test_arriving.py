import io
import os
import threading
from pathlib import Path

import pytest

from sampan.content.arriving import Arriving
from sampan.content.partial import ContentTruncated
from sampan.content.store import Content
from sampan.errors import InvalidParameter

DATA = os.urandom(3 << 20)


class Sender:
    """Gives 64 KiB at a time, after the first only when it is let."""

    def __init__(self, data: bytes) -> None:
        self.source = io.BytesIO(data)
        self.more = threading.Semaphore(1)

    def __call__(self, size: int) -> bytes:
        assert self.more.acquire(timeout=30)
        return self.source.read(min(size, 1 << 16))


def test_it_is_read_while_it_comes(tmp_path: Path) -> None:
    content = Content(tmp_path)
    sender = Sender(DATA)
    readers: list[Arriving] = []

    def along(first: bytes, place: Path) -> Arriving:
        assert first == DATA[: 1 << 16]
        readers.append(Arriving(place))
        return readers[0]

    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(content.ingest(sender, 1 << 30, along=along)))
    thread.start()
    sender.more.release()
    while not readers:
        thread.join(0.01)
    assert readers[0].read(512) == DATA[:512]
    assert readers[0].read(1 << 16) == DATA[512 : 512 + (1 << 16)]
    with pytest.raises(io.UnsupportedOperation):
        readers[0].fileno()
    assert not taken
    for _ in range(64):
        sender.more.release()
    rest = []
    while chunk := readers[0].read(1 << 20):
        rest.append(chunk)
    thread.join(30)
    assert b"".join(rest) == DATA[512 + (1 << 16) :]
    assert readers[0].tell() == len(DATA)
    assert os.fstat(readers[0].fileno()).st_size == len(DATA)
    readers[0].close()
    assert taken


@pytest.mark.parametrize("cause", ["sender", "limit"])
def test_what_breaks_off_ends_the_reading(tmp_path: Path, cause: str) -> None:
    content = Content(tmp_path)
    readers: list[Arriving] = []
    source = io.BytesIO(DATA)

    def read(size: int) -> bytes:
        if cause == "sender" and source.tell() > 1 << 20:
            raise OSError("the sender of the archive went away")
        return source.read(min(size, 1 << 16))

    def along(_: bytes, place: Path) -> Arriving:
        readers.append(Arriving(place))
        return readers[0]

    with pytest.raises((OSError, InvalidParameter)):
        content.ingest(read, 2 << 20, along=along)
    with pytest.raises(ContentTruncated):
        readers[0].read(len(DATA))
    readers[0].close()
    assert list(content.list()) == []


def test_whoever_gives_up_hinders_nobody(tmp_path: Path) -> None:
    content = Content(tmp_path)
    readers: list[Arriving] = []

    def along(_: bytes, place: Path) -> Arriving:
        readers.append(Arriving(place))
        readers[0].give_up()
        return readers[0]

    digest, size = content.ingest(io.BytesIO(DATA).read, 1 << 30, along=along)
    assert (content.size(digest), size) == (len(DATA), len(DATA))
    with pytest.raises(ContentTruncated):
        readers[0].read(1)
    readers[0].close()
