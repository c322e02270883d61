"""One plugin as its users see it: a name, what it implements, and calls that end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from sampan.errors import InvalidParameter
from sampan.plugins.conversation import Answer, asked
from sampan.plugins.faults import PluginAway, PluginBroke, PluginRefused
from sampan.plugins.places import Address
from sampan.spec.decoding import Reader
from sampan.spec.document import Document, encode

_log = logging.getLogger("sampan.plugins")

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer, where the caller sets no other bound."""
CALL_SECONDS = 30.0
RETRY_SECONDS = 30.0
"""As in Docker: waits of 1, 2, 4 and 8 seconds fit into it."""
_CALLS = 64
"""Connections to one plugin at once. Further calls wait, within their own time."""
_STREAMS = 256
"""Answers without an end at once, beside the calls: as many as there are followers of logs."""


class Reply(Document, frozen=True):
    """Base of all answers: `Err` says what went wrong, "" where nothing did."""

    err: str = ""


class Nothing(Reply, frozen=True):
    """An answer without anything but `Err`."""


class Manifest(Document, frozen=True):
    """The answer of Plugin.Activate. Its size is bounded by the answer's."""

    implements: tuple[str, ...] = ()


R = TypeVar("R", bound=Document)


class Plugin:
    """A plugin at an address, which a restart of it may change: `where` tells. Made by `Plugins`."""

    def __init__(self, name: str, where: Callable[[], Address | None], implements: tuple[str, ...] = ()) -> None:
        self.name = name
        self.implements = implements
        self._where = where
        self._calls = asyncio.Semaphore(_CALLS)
        self._streams = asyncio.Semaphore(_STREAMS)

    async def call(
        self,
        method: str,
        arguments: Any,  # noqa: ANN401 - a Struct or None: msgspec encodes any
        answer: type[R],
        *,
        seconds: float = CALL_SECONDS,
        patience: float = RETRY_SECONDS,
        limit: int = ANSWER_LIMIT,
    ) -> R:
        """Post `arguments` to `method`, e.g. "VolumeDriver.Get", and read the answer as `answer`, members in any case.

        `seconds` bound each try from connecting to the answer's last byte. A plugin that cannot be connected to is tried
        again for `patience` seconds, 0 for not at all; what was sent is never sent twice. Raises PluginAway, PluginBroke,
        PluginRefused for a status other than 200 and for an `Err`.
        """
        body = b"" if arguments is None else encode(arguments) + b"\n"
        async with self._answered(method, body, seconds, patience) as response:
            raw = await response.read(limit)
        try:
            return parse(answer, raw)
        except PluginBroke as error:
            raise PluginBroke(f"plugin {self.name}: {method}: {error}") from error

    @asynccontextmanager
    async def stream(
        self, method: str, arguments: msgspec.Struct, *, seconds: float = CALL_SECONDS
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of an answer that may have no end, piece by piece; `seconds` bound what comes before it.

        Raises as `call` does.
        """
        async with self._answered(method, encode(arguments), seconds, 0.0, endless=True) as response:
            yield response.pieces()

    @asynccontextmanager
    async def _answered(
        self, method: str, body: bytes, seconds: float, patience: float, *, endless: bool = False
    ) -> AsyncIterator[Answer]:
        pauses = _pauses(patience)
        room = self._streams if endless else self._calls
        while True:
            try:
                async with asyncio.timeout(seconds) as bound, room, self._connected(method, body) as response:
                    if response.status != 200:
                        raise _refused(method, response.status, await response.read(ANSWER_LIMIT))
                    if endless:
                        bound.reschedule(None)
                    yield response
                    return
            except TimeoutError as error:
                raise PluginBroke(f"plugin {self.name}: {method}: no answer within {seconds:g} seconds") from error
            except PluginAway as error:
                pause = next(pauses, None)
                if pause is None:
                    raise PluginAway(f"plugin {self.name}: {method}: {error}") from error
                _log.warning("plugin %s: %s: %s, trying again in %d s", self.name, method, error, pause)
                await asyncio.sleep(pause)
            except PluginBroke as error:
                raise PluginBroke(f"plugin {self.name}: {method}: {error}") from error

    def _connected(self, method: str, body: bytes) -> AbstractAsyncContextManager[Answer]:
        address = self._where()
        if address is None:
            raise PluginAway(f'plugin "{self.name}" is gone')
        return asked(address, method, body)


def _pauses(patience: float) -> Iterator[float]:
    pause, spent = 1.0, 0.0
    while spent + pause < patience:
        yield pause
        spent += pause
        pause *= 2


def parse(answer: type[R], raw: bytes) -> R:
    """The document of an answer. Raises PluginBroke where it is none, PluginRefused for its `Err`."""
    try:
        read: R = _reader(answer).read(raw)
    except InvalidParameter as error:
        raise PluginBroke(str(error)) from error
    if isinstance(read, Reply) and read.err:
        raise PluginRefused(read.err)
    return read


@lru_cache(maxsize=64)
def _reader(of: type[Document]) -> Reader[Any]:
    """Compiled once for each type of answer."""
    return Reader(of)


_REPLY = Reader(Nothing)


def _refused(method: str, status: int, raw: bytes) -> PluginRefused:
    """In Docker's words: the `Err` of the document, or the whole body where it is none."""
    try:
        message = _REPLY.read(raw).err
    except InvalidParameter:
        message = ""
    return PluginRefused(f"{method}: {message or raw.decode(errors='replace')}", status)
