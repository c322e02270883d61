"""Sessions: connections on which a client serves its builder, known by the id that its builds name."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sampan.buildkit.connections import Caller
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.requests import Hijacked

MOST = 1000
_WAIT = 5.0
"""Seconds that a build waits for its session: the client opens both at once."""
_NAME_LIMIT = 256
_METHODS_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Offer:
    """What the headers of `POST /session` say. `methods` are paths of gRPC, in lower case, as BuildKit compares them."""

    id: str
    name: str = ""
    shared_key: str = ""
    methods: frozenset[str] = frozenset()


def offer_of(headers: Mapping[bytes, bytes]) -> Offer:
    """The offer. Raises InvalidParameter."""

    def text(name: str) -> str:
        value = headers.get(f"x-docker-expose-session-{name}".encode(), b"").decode("utf-8", "replace")
        if len(value) > _NAME_LIMIT * (_METHODS_LIMIT if name == "grpc-method" else 1):
            raise InvalidParameter(f"the session's {name} is too long")
        return value

    session = text("uuid")
    if not session:
        raise InvalidParameter("no session id in request")
    methods = frozenset(part.strip().lower() for part in text("grpc-method").split(",") if part.strip())
    return Offer(session, text("name"), text("sharedkey"), methods)


@dataclass(frozen=True, slots=True)
class Session:
    """One that is open. Calls go by `caller`."""

    offer: Offer
    caller: Caller

    def offers(self, path: str) -> bool:
        """Whether the client has this method."""
        return path.lower() in self.offer.methods


class Sessions:
    """Those that are open. On the event loop."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._changed = asyncio.Condition()

    def check(self, offer: Offer) -> None:
        """Raises Conflict where there is one of this id, or there are too many."""
        if offer.id in self._open:
            raise Conflict(f"session {offer.id} already exists")
        if len(self._open) >= MOST:
            raise Conflict(f"there are {MOST} sessions already")

    async def keep(self, offer: Offer, connection: Hijacked) -> None:
        """Hold the session until its client closes it. The connection is taken over."""
        self.check(offer)
        caller = Caller(connection.sock, connection.pending)
        try:
            await caller.connect()
            self.check(offer)
            self._open[offer.id] = Session(offer, caller)
            async with self._changed:
                self._changed.notify_all()
            await caller.ended
        finally:
            if offer.id in self._open and self._open[offer.id].caller is caller:
                del self._open[offer.id]
            caller.break_off()
            caller.close()

    async def find(self, session_id: str) -> Session:
        """The session, waited for a moment. Raises NotFound."""
        # A prefix tells vertices of several contexts apart; it is no part of the id.
        name = session_id.rpartition(":")[2]
        async with self._changed:
            try:
                async with asyncio.timeout(_WAIT):
                    await self._changed.wait_for(lambda: name in self._open)
            except TimeoutError:
                raise NotFound(f"no active session for {name[:_NAME_LIMIT]}: context deadline exceeded") from None
        return self._open[name]
