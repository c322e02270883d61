"""Streams of progress: lines of JSON, and how a failure is told in the midst of them."""

import logging
from collections.abc import AsyncIterator

from sampan.api.responses import Answer, Stream, words
from sampan.errors import SampanError
from sampan.spec.document import encode
from sampan.spec.images import ErrorDetail, Progress

_log = logging.getLogger("sampan.api")


def _line(progress: Progress) -> bytes:
    return encode(progress) + b"\r\n"


def _failed(error: Exception) -> bytes:
    told = words(error)
    return _line(Progress(error_detail=ErrorDetail(message=told), error=told))


async def begun(lines: AsyncIterator[bytes]) -> Answer:
    """Lines that are ready to be sent; what is raised before the first of them gets a status of its own."""
    first = await anext(lines, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        try:
            yield first
            async for line in lines:
                yield line
        finally:
            close = getattr(lines, "aclose", None)
            if close is not None:
                await close()

    return Stream(all_of_them())


async def in_stream(steps: AsyncIterator[Progress]) -> AsyncIterator[bytes]:
    """The steps as lines; a failure is the last of them."""
    try:
        async for step in steps:
            yield _line(step)
    except ConnectionError:
        raise  # the client left while it was read
    except SampanError as error:
        yield _failed(error)
    except Exception as error:  # noqa: BLE001 - as at the boundary of a request
        _log.exception("in the midst of an answer")
        yield _failed(error)
    finally:
        close = getattr(steps, "aclose", None)
        if close is not None:
            await close()


async def or_failure(steps: AsyncIterator[Progress]) -> Answer:
    """The same, but a failure before the first step is raised, and gets a status of its own."""
    try:
        first = await anext(steps)
    except StopAsyncIteration:
        return Stream(in_stream(steps))

    async def lines() -> AsyncIterator[bytes]:
        yield _line(first)
        async for line in in_stream(steps):
            yield line

    return Stream(lines())
