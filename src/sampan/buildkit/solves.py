"""Builds by the ids that clients give them: each is one `Solve` of the control service, told by `Status`, kept for a while.

frontend="dockerfile.v0"     built at once
frontend=""                  the client leads: `LLBBridge.Solve` builds, `LLBBridge.Return` ends it (buildx does so)
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from grpclib.exceptions import GRPCError

from sampan.build.tree.context import Context
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.statuses import Statuses
from sampan.errors import Conflict, NotFound

_WAIT = 5.0
_ENDED = 50
"""Builds that are remembered when they have ended, for `history`."""
_WITH_LOGS = 10
"""Of these, how many with what they said."""
_MOST = 256
_ID_LIMIT = 128
_REFERENCES = 64
"""Results of one build that a client may hold."""


@dataclass(slots=True)
class Solve:
    """One build. Times in nanoseconds since the epoch."""

    request: control.SolveRequest
    statuses: Statuses
    returned: "asyncio.Future[None]"
    """done when the leading client says so; with its error"""
    began: int = field(default_factory=time.time_ns)
    ended: int = 0
    error: GRPCError | None = None
    response: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = False
    generation: int = 1
    images: dict[str, str] = field(default_factory=dict)
    """what was made, by the references that the leading client has for it"""
    looked: dict[str, Context] = field(default_factory=dict)
    """sources that it reads in"""
    _kept: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def ref(self) -> str:
        """Its id."""
        return self.request.Ref

    @property
    def is_led(self) -> bool:
        """Whether the client leads it itself."""
        return not self.request.Frontend

    def keep_image(self, image: str) -> str:
        """A reference for the image, of use until the solve ends."""
        self._check_room()
        reference = os.urandom(12).hex()
        self.images[reference] = image
        return reference

    async def look(self, source: AbstractAsyncContextManager[Context]) -> str:
        """A reference for a source, which is kept until the solve ends. Raises as the source does, Conflict for one too many."""
        self._check_room()
        reference = os.urandom(12).hex()
        self.looked[reference] = await self._kept.enter_async_context(source)
        return reference

    def _check_room(self) -> None:
        if len(self.images) + len(self.looked) >= _REFERENCES:
            raise Conflict(f"build {self.ref} has {_REFERENCES} results already")

    def at_end(self, work: Callable[[], Awaitable[None]]) -> None:
        """To be done when the solve ends."""
        self._kept.push_async_callback(work)

    async def let_go(self) -> None:
        """Nobody reads in its results any more."""
        self.images.clear()
        self.looked.clear()
        await self._kept.aclose()

    @property
    def attributes(self) -> Mapping[str, str]:
        """Of its front end."""
        return self.request.FrontendAttrs


class Solves:
    """All that are known. On the event loop."""

    def __init__(self) -> None:
        self._all: dict[str, Solve] = {}
        self._changed = asyncio.Condition()
        self._version = 0

    async def begin(self, request: control.SolveRequest) -> Solve:
        """A new one. Raises Conflict for an id that is in use, and for one too many."""
        ref = request.Ref
        if not ref or len(ref) > _ID_LIMIT or not ref.isprintable():
            raise Conflict("a build needs an id")
        known = self._all.get(ref)
        if known is not None and not known.ended:
            raise Conflict(f"job ID {ref} exists")
        if sum(not one.ended for one in self._all.values()) >= _MOST:
            raise Conflict(f"there are {_MOST} builds already")
        solve = Solve(request, Statuses(ref), asyncio.get_running_loop().create_future())
        self._all.pop(ref, None)
        self._all[ref] = solve
        await self.change()
        return solve

    async def end(self, solve: Solve, error: GRPCError | None) -> None:
        """It has ended. What is older than the history goes."""
        try:
            await solve.let_go()
        finally:
            await self._end(solve, error)

    async def _end(self, solve: Solve, error: GRPCError | None) -> None:
        solve.ended = time.time_ns()
        solve.error = error
        solve.generation += 1
        solve.statuses.end()
        if not solve.returned.done():
            solve.returned.cancel()
        ended = [one for one in self._all.values() if one.ended and not one.pinned]
        for one in ended[:-_ENDED]:
            del self._all[one.ref]
        for one in ended[:-_WITH_LOGS]:
            one.statuses.forget()
        if solve.request.Internal:
            del self._all[solve.ref]
        await self.change()

    async def find(self, ref: str) -> Solve:
        """The build, waited for a moment: a client asks for its status before it has begun. Raises NotFound."""
        async with self._changed:
            try:
                async with asyncio.timeout(_WAIT):
                    await self._changed.wait_for(lambda: ref in self._all)
            except TimeoutError:
                raise NotFound(f"no such job {ref[:_ID_LIMIT]}") from None
        return self._all[ref]

    def get(self, ref: str) -> Solve:
        """The build. Raises NotFound."""
        if ref not in self._all:
            raise NotFound(f"build {ref[:_ID_LIMIT]} not found")
        return self._all[ref]

    def made(self, reference: str) -> str:
        """The image that a build which has not ended made, by its reference. Raises NotFound."""
        for solve in self._all.values():
            if reference in solve.images:
                return solve.images[reference]
        raise NotFound(f"no such result {reference[:_ID_LIMIT]}: its build has ended")

    def forget(self, solve: Solve) -> None:
        """Take one that has ended out of the history."""
        self._all.pop(solve.ref, None)

    def listed(self) -> Sequence[Solve]:
        """In the order in which they began."""
        return list(self._all.values())

    async def change(self) -> None:
        """Something is different: who waits looks again."""
        self._version += 1
        async with self._changed:
            self._changed.notify_all()

    async def changed(self, since: int) -> int:
        """Wait for a change after the one of number `since`; its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version > since)
        return self._version

    @property
    def version(self) -> int:
        """The number of the last change."""
        return self._version
