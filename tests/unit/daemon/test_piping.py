"""What a client sends, read by a thread as a file: all of it, part of it, broken off, called off."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TypeVar

import pytest

from sampan.daemon.piping import Passing

T = TypeVar("T")


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, 10)

    return asyncio.run(bounded())


async def endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0)


def test_an_archive_reaches_its_reader() -> None:
    sent = [bytes([number % 256]) * 70_000 for number in range(40)]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in sent:
            yield piece

    async def body() -> bytes:
        async with Passing(pieces()) as passing:
            return await asyncio.to_thread(passing.file.read)

    assert run(body()) == b"".join(sent)


def test_a_reader_that_stops_lets_the_sender_go() -> None:
    async def body() -> None:
        async with aclosing(endless()) as pieces:
            async with Passing(pieces) as passing:
                assert await asyncio.to_thread(passing.file.read, 10) == b"x" * 10
                await asyncio.to_thread(passing.file.close)

    run(body())


def test_a_sender_that_breaks_off_is_an_error_for_the_reader() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ConnectionResetError("gone")

    async def body() -> None:
        async with Passing(broken()) as passing:
            with pytest.raises(OSError, match="went away"):
                await asyncio.to_thread(passing.file.read)

    run(body())


def test_called_off_the_reader_hears_of_it() -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.sleep(100)
        yield b""

    async def body() -> None:
        async with Passing(silent()) as passing:
            reading = asyncio.ensure_future(asyncio.to_thread(passing.file.read))
            await asyncio.sleep(0.01)
            passing.call_off()
            with pytest.raises(OSError, match="went away"):
                await reading

    run(body())
