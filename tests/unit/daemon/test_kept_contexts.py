"""Contexts that are kept for a while: found by their stamp, bounded, and let go of."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.tree.context import Arrival, Context, unpack_context
from sampan.daemon import kept_contexts
from sampan.daemon.kept_contexts import KeptContexts, NotKept
from tests.unit.build.tree.archives import packed


class Places:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened: list[int] = []

    def new(self) -> int:
        place = self._directory / str(len(self._opened))
        place.mkdir()
        self._opened.append(os.open(place, os.O_RDONLY | os.O_DIRECTORY))
        return self._opened[-1]

    def arrival(self, **files: bytes) -> Arrival:
        with unpack_context(packed(files), self.new()) as context:
            return context.arrival()

    def close(self) -> None:
        for descriptor in self._opened:
            os.close(descriptor)


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    before = len(os.listdir("/proc/self/fd"))
    made = Places(tmp_path)
    yield made
    made.close()
    assert len(os.listdir("/proc/self/fd")) == before


def read(context: Context, name: str) -> bytes:
    with context:
        directory = context.tree().directory()
        descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
        try:
            return os.read(descriptor, 100)
        finally:
            os.close(descriptor)


def test_found_as_it_arrived_however_often(places: Places) -> None:
    async def scene() -> None:
        kept = KeptContexts()
        kept.keep("a", places.arrival(Dockerfile=b"FROM x", f=b"1"))
        with kept.context("a", places.new()) as first:
            first.apart("d", places.new()).close()
            first.dockerfile()
        assert read(kept.context("a", places.new()), "f") == b"1"
        assert read(kept.context("a", places.new()), "Dockerfile") == b"FROM x"
        kept.drop("a")
        kept.drop("a")
        with pytest.raises(NotKept, match="No such build context: a"):
            kept.context("a", places.new())

    asyncio.run(scene())


def test_the_least_used_goes_first(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_contexts, "MOST_ENTRIES", 4)

    async def scene() -> None:
        kept = KeptContexts()
        for stamp in ("a", "b"):
            kept.keep(stamp, places.arrival(f=b"1", g=b"2"))
        kept.context("a", places.new()).close()
        kept.keep("c", places.arrival(f=b"1"))
        kept.context("a", places.new()).close()
        with pytest.raises(NotKept):
            kept.context("b", places.new())
        kept.keep("large", places.arrival(**{f"f{number}": b"" for number in range(5)}))
        for stamp in ("a", "c", "large"):
            with pytest.raises(NotKept):
                kept.context(stamp, places.new())

    asyncio.run(scene())


def test_kept_for_a_while_only(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_contexts, "SECONDS", 0.02)

    async def scene() -> None:
        kept = KeptContexts()
        kept.keep("a", places.arrival(f=b"1"))
        for _ in range(1000):
            await asyncio.sleep(0.01)
            try:
                kept.context("a", places.new()).close()
            except NotKept:
                return
            # Each use begins the while anew.
            await asyncio.sleep(0.1)
        raise AssertionError("it is still there")

    asyncio.run(scene())
