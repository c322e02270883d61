"""A span for each request, below the client's own: from its head to the end of its answer, a stream's and a given connection's too.

Loaded only where traces are asked for.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Self

from opentelemetry.trace import Span

from sampan.api.application import Application
from sampan.api.request import Request
from sampan.api.responses import Answer, Handover, Stream
from sampan.spec.requests import Hijacked, Taker
from sampan.telemetry.tracing import Tracing, failed, within

_Answering = Callable[[Application, Request], Awaitable[Answer]]
_BROKEN = 500


def hold_spans(tracing: Tracing) -> None:
    """From now on each request has one. Once, before the first."""
    answer: _Answering = Application.answer

    async def traced(self: Application, request: Request) -> Answer:
        told = {"http.request.method": request.method, "url.path": request.path, "sampan.request.id": request.id}
        span = tracing.served(request.method, request.headers, told)
        try:
            with within(span, ends=False):
                found = await answer(self, request)
        except BaseException as error:
            failed(span, error)
            span.end()
            raise
        if request.route:
            span.update_name(f"{request.method} {request.route}")
            span.set_attribute("http.route", request.route)
        return _carried(found, span)

    Application.answer = traced  # type: ignore[method-assign]


def _carried(found: Answer, span: Span) -> Answer:
    """The same answer; what is still to be done for it is below the span, which ends with that."""
    if isinstance(found, Handover):
        return replace(found, target=_Taking(found.target, span))
    span.set_attribute("http.response.status_code", found.status)
    if isinstance(found, Stream):
        return replace(found, chunks=_Followed(found.chunks, span))
    if found.status >= _BROKEN:
        failed(span, RuntimeError())
    span.end()
    return found


class _Followed:
    """A stream's chunks, each made below the span; it ends with them, or when the client has gone."""

    def __init__(self, chunks: AsyncIterator[bytes], span: Span) -> None:
        self._chunks = chunks
        self._span = span

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            with within(self._span, ends=False):
                return await anext(self._chunks)
        except BaseException as error:
            if not isinstance(error, StopAsyncIteration):
                failed(self._span, error)
            self._end()
            raise

    async def aclose(self) -> None:
        """The rest is not wanted."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        self._end()

    def _end(self) -> None:
        if self._span.is_recording():
            self._span.end()


class _Taking:
    """A target that takes the connection below the span."""

    def __init__(self, target: Taker, span: Span) -> None:
        self._target = target
        self._span = span

    async def take(self, connection: Hijacked) -> None:
        """See `Taker`."""
        with within(self._span, ends=True):
            await self._target.take(connection)
