"""Cache mounts on real directories: who waits, who shares, what a start finds, and as tar."""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sampan.build.cache.mounts import CacheMounts, MountWish, Taken
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.state.store import Store
from tests.archives import Layer

WISH = MountWish(identity="/root/.cache")
SHARED, PRIVATE, LOCKED = (MountWish(identity="c", sharing=word) for word in ("shared", "private", "locked"))


def play(directory: Path, scene: Callable[[CacheMounts], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store(directory / "db")
        mounts = CacheMounts(store, directory / "build")
        try:
            await scene(mounts)
        finally:
            mounts.close()
            store.close()

    asyncio.run(run())


def test_content_stays_for_the_next_step_and_the_next_daemon(tmp_path: Path) -> None:
    async def write(mounts: CacheMounts) -> None:
        taken = await mounts.take(WISH)
        (taken.path / "wheel").write_bytes(b"x" * 100)
        mounts.give(taken)

    async def read(mounts: CacheMounts) -> None:
        taken = await mounts.take(WISH)
        assert (taken.path / "wheel").read_bytes() == b"x" * 100
        assert mounts.in_use(taken.name)
        mounts.give(taken)
        (record,) = mounts.records().values()
        assert (record.identity, record.uses) == ("/root/.cache", 2)
        assert mounts.size(taken.name) == 100

    play(tmp_path, write)
    play(tmp_path, read)


def test_shared_is_one_directory_private_one_for_each(tmp_path: Path) -> None:
    async def scene(mounts: CacheMounts) -> None:
        first, second = await mounts.take(SHARED), await mounts.take(SHARED)
        assert first.path == second.path
        alone = await mounts.take(PRIVATE)
        assert alone.path != first.path
        other = await mounts.take(PRIVATE)
        assert other.path not in (first.path, alone.path)
        for taken in (first, second, alone, other):
            mounts.give(taken)
        again = await mounts.take(PRIVATE)
        assert again.path == first.path, "what is free is used before another is made"
        mounts.give(again)
        assert len(mounts.records()) == 3

    play(tmp_path, scene)


def test_locked_is_one_after_the_other(tmp_path: Path) -> None:
    async def scene(mounts: CacheMounts) -> None:
        first = await mounts.take(LOCKED)
        order: list[int] = []

        async def step(number: int) -> None:
            taken = await mounts.take(LOCKED)
            assert taken.path == first.path
            assert len(order) < 3
            order.append(number)
            await asyncio.sleep(0)
            assert order[-1] == number, "nobody came in between"
            mounts.give(taken)

        tasks = [asyncio.create_task(step(number)) for number in range(3)]
        shared = asyncio.create_task(mounts.take(SHARED))
        await asyncio.sleep(0)
        assert order == []
        mounts.give(first)
        mounts.give(await shared)
        await asyncio.gather(*tasks)
        assert sorted(order) == [0, 1, 2]

    play(tmp_path, scene)


def test_who_waits_may_be_cancelled(tmp_path: Path) -> None:
    async def scene(mounts: CacheMounts) -> None:
        first = await mounts.take(LOCKED)
        waiting = asyncio.create_task(mounts.take(LOCKED))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        mounts.give(first)
        assert not mounts.in_use(first.name)

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "other",
    [
        MountWish(identity="d"),
        MountWish(identity="c", uid=1000),
        MountWish(identity="c", mode=0o700),
        MountWish(identity="c", seed="sha256:1"),
    ],
)
def test_what_differs_is_another_cache(other: MountWish) -> None:
    assert other.name != SHARED.name


def test_owner_mode_and_content_of_a_fresh_one(tmp_path: Path) -> None:
    calls: list[int] = []

    async def fill(descriptor: int) -> None:
        calls.append(descriptor)
        os.close(os.open("seed", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))

    async def scene(mounts: CacheMounts) -> None:
        wish = MountWish(identity="c", uid=1000, gid=1001, mode=0o2750, seed="s")
        both = await asyncio.gather(mounts.take(wish, fill), mounts.take(wish, fill))
        status = both[0].path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1000, 1001, 0o2750)
        assert (both[1].path / "seed").exists()
        for taken in both:
            mounts.give(taken)
        mounts.give(await mounts.take(wish, fill))
        assert len(calls) == 1

    play(tmp_path, scene)


def test_a_seed_that_cannot_be_copied_leaves_nothing(tmp_path: Path) -> None:
    async def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    async def scene(mounts: CacheMounts) -> None:
        with pytest.raises(OSError, match="No space"):
            await mounts.take(WISH, fail)
        assert not mounts.in_use(f"{WISH.name}-0")
        mounts.give(await mounts.take(WISH))

    play(tmp_path, scene)


def test_a_directory_without_a_record_goes_at_the_next_start(tmp_path: Path) -> None:
    play(tmp_path, _nothing)
    for name in (".new-1", "unknown-0"):
        (tmp_path / "build" / "mounts" / name).mkdir()
    play(tmp_path, _nothing)
    assert list((tmp_path / "build" / "mounts").iterdir()) == []


async def _nothing(_: CacheMounts) -> None:
    return


def test_what_a_step_has_is_not_dropped(tmp_path: Path) -> None:
    async def scene(mounts: CacheMounts) -> None:
        taken = await mounts.take(WISH)
        assert not await mounts.drop(taken.name)
        mounts.give(taken)
        assert await mounts.drop(taken.name)
        assert not await mounts.drop(taken.name)
        assert not taken.path.exists()
        assert mounts.records() == {}
        mounts.give(await mounts.take(WISH))

    play(tmp_path, scene)


def test_out_and_in_as_a_tar(tmp_path: Path) -> None:
    async def scene(mounts: CacheMounts) -> None:
        taken = await mounts.take(WISH)
        (taken.path / "sub").mkdir()
        (taken.path / "sub" / "file").write_bytes(b"content")
        (taken.path / "link").symlink_to("/etc/passwd")
        os.link(taken.path / "sub" / "file", taken.path / "hard")
        mounts.give(taken)
        tar = b"".join(mounts.pack(mounts.find("/root/.cache")))
        placed = await _imported(mounts, SHARED, tar)
        there = await mounts.take(SHARED)
        assert there.name == placed
        assert (there.path / "hard").read_bytes() == b"content"
        assert os.readlink(there.path / "link") == "/etc/passwd"
        with pytest.raises(Conflict, match="in use by a build"):
            await _imported(mounts, SHARED, tar)
        mounts.give(there)
        with pytest.raises(NotFound, match="no cache mount has the id 'x'"):
            mounts.find("x")

    play(tmp_path, scene)


async def _imported(mounts: CacheMounts, wish: MountWish, tar: bytes) -> str:
    made = await asyncio.to_thread(mounts.unpack, wish, io.BytesIO(tar))
    return await mounts.place(wish, made)


def test_a_hostile_tar_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    hostile = Layer()
    hostile.symlink("out", "/tmp")
    hostile.file("../escape", b"")

    async def scene(mounts: CacheMounts) -> None:
        taken: Taken = await mounts.take(WISH)
        (taken.path / "kept").touch()
        mounts.give(taken)
        with pytest.raises(InvalidParameter):
            await _imported(mounts, WISH, hostile.tar())
        assert (taken.path / "kept").exists()
        assert [path.name for path in (tmp_path / "build" / "mounts").iterdir()] == [taken.name]

    play(tmp_path, scene)
