"""A failure in the midst of an answer is the last of its lines, whatever it is."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator

import pytest

from sampan.api.progress import in_stream
from sampan.errors import NotFound
from sampan.spec.images import Progress


def lines_of(error: Exception) -> list[bytes]:
    async def steps() -> AsyncIterator[Progress]:
        yield Progress(status="begun")
        raise error

    async def all_of_them() -> list[bytes]:
        return [line async for line in in_stream(steps())]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound("No such image: a"), "No such image: a"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "/x: no space left on device"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_last_line_tells_of_it(error: Exception, told: str, caplog: pytest.LogCaptureFixture) -> None:
    first, last = lines_of(error)
    assert b'"begun"' in first
    assert b'"errorDetail":{"message":"%b"}' % told.encode() in last
    assert f'"error":"{told}"'.encode() in last
    logged = [record.exc_info for record in caplog.records if record.levelno == logging.ERROR]
    assert bool(logged) == (not isinstance(error, NotFound))


def test_a_client_that_left_is_told_nothing() -> None:
    with pytest.raises(ConnectionResetError):
        lines_of(ConnectionResetError("the client left"))
