"""Followers by the runtime alone: they serve a client to the end of the run, are told of when gone, and are bounded in number."""

import asyncio
import socket
from pathlib import Path

import pytest

from sampan.kernel.landlock import landlock_version
from sampan.logs.files import close_all
from sampan.logs.reader import open_at
from sampan.logs.reading import Query
from sampan.runtime import followers
from sampan.runtime.request import FollowRequest, LogSpec, StartRequest
from sampan.spec.ids import ContainerId, new_id
from tests.kernel.runtime.conftest import Bench, _read_all, config, unframed
from tests.processes import pids, title
from tests.requires import requires

needs = requires("root", "overlay", "mount-interface", "pidns", "netns", "busybox")


async def follow(bench: Bench, request: StartRequest, theirs: socket.socket, gone: asyncio.Event) -> bool:
    """Ask for a follower of the whole log. `theirs` is closed here, as the daemon does."""
    path, query = str(request.log.path), Query()
    files = await asyncio.to_thread(open_at, path, query)
    numbers = tuple(file.fileno() for file in files)
    asked = FollowRequest(theirs, path, numbers, query, tty=False, chunked=False)
    try:
        with theirs:
            return await bench.runtime.follow(request.id, asked, gone.set)
    finally:
        close_all(files)


@needs
def test_a_follower_serves_to_the_end_of_the_run(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        name = ContainerId(new_id())
        # The name of a log says which driver wrote it.
        log = LogSpec(str(bench.base / "data/containers" / name / f"{name}-json.log"))
        request = bench.request(config("sh", "-c", "echo one; sleep 0.3; echo two; printf rest"), name, log=log)
        await bench.runtime.start(request)
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        gone = asyncio.Event()
        assert await follow(bench, request, theirs, gone)
        assert unframed(await asyncio.to_thread(_read_all, ours)) == b"one\ntwo\nrest"
        await asyncio.wait_for(gone.wait(), 20)
        assert (await bench.exit_of(request.id)).code == 0

    bench.run(body)


@needs
def test_no_follower_of_what_does_not_run_and_none_beyond_the_bound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(bench: Bench) -> None:
        ours, theirs = socket.socketpair()
        gone = asyncio.Event()
        stopped = bench.request(config("true"), ContainerId("0" * 64))
        with ours:
            assert not await follow(bench, stopped, theirs, gone)
            assert ours.recv(1) == b""
        request = bench.request(config("sleep", "1000"))
        await bench.runtime.start(request)
        monkeypatch.setattr(followers, "_MOST", 1)
        pairs = [socket.socketpair() for _ in range(3)]
        assert await follow(bench, request, pairs[0][1], gone)
        assert not await follow(bench, request, pairs[1][1], gone)
        pairs[0][0].close()
        await asyncio.wait_for(gone.wait(), 20)
        assert await follow(bench, request, pairs[2][1], gone), "the place of one that is gone is free"
        await bench.runtime.kill_all(request.id)
        await bench.exit_of(request.id)
        for mine, _ in pairs:
            mine.close()

    bench.run(body)


@needs
@pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
def test_a_follower_can_open_nothing_else(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        name = ContainerId(new_id())
        log = LogSpec(str(bench.base / "data/containers" / name / f"{name}-json.log"))
        request = bench.request(config("sh", "-c", "echo one; sleep 3"), name, log=log)
        await bench.runtime.start(request)
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        gone = asyncio.Event()
        assert await follow(bench, request, theirs, gone)
        assert b"one" in await asyncio.to_thread(ours.recv, 1000)
        (follower,) = [pid for pid in pids() if title(pid).startswith(f"sampan-follower {name[:12]}")]
        assert "NoNewPrivs:\t1" in Path(f"/proc/{follower}/status").read_text()
        ours.close()
        await asyncio.wait_for(gone.wait(), 20)
        assert (await bench.exit_of(request.id)).code == 0

    bench.run(body)
