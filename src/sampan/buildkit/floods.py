"""What a peer of HTTP/2 may send beside its calls: each of it is work here, and costs it nothing.

Rapid resets (CVE-2023-44487), settings, pings and empty frames (CVE-2019-9512, -9514, -9515, -9518): a bucket of each connection
is emptied by them and fills again with time. What is read is bounded by windows, headers and their continuations by h2.
"""

import time
from collections.abc import Callable, Mapping

from h2 import events

BUCKET = 500.0
"""Resets at once."""
PER_SECOND = 100.0
_PING = 0.02
"""Go's gRPC sends one with each round trip while it is sent data."""
_EMPTY = 0.1
_COSTS: Mapping[type[events.Event], float] = {
    events.StreamReset: 1.0,
    events.RemoteSettingsChanged: 1.0,
    events.PriorityUpdated: 1.0,
    events.UnknownFrameReceived: 1.0,
    events.AlternativeServiceAvailable: 1.0,
    events.PingReceived: _PING,
}
WRITTEN = 8 << 20
"""Bytes that may wait for a peer that does not read: beside messages, which wait for its window, only answers to such frames do."""


class Flooded(Exception):
    """It is too much."""


class Bucket:
    """One connection's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = BUCKET
        self._at = clock()

    def take(self, event: events.Event) -> None:
        """Something came. Raises Flooded."""
        cost = _COSTS.get(type(event), 0.0)
        if isinstance(event, events.DataReceived) and not event.data:
            cost = _EMPTY
        if not cost:
            return
        self._left -= cost
        if self._left < 0:
            now = self._clock()
            self._left = min(self._left + (now - self._at) * PER_SECOND, BUCKET)
            self._at = now
            if self._left < 0:
                raise Flooded(f"{type(event).__name__} and the like came too often")
