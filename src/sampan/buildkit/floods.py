"""What a peer of HTTP/2 may send beside its calls: each of it is work here, and costs it nothing.

Rapid resets (CVE-2023-44487), settings, pings and empty frames (CVE-2019-9512, -9514, -9515, -9518): a bucket of each connection
is emptied by them and fills again with time. Frames are told by their heads alone (RFC 9113, 4.1), before anything is made of
them; what they hold is bounded elsewhere: data by windows, headers and their continuations by h2.
"""

import time
from collections.abc import Callable, Mapping

BUCKET = 500.0
"""Resets at once."""
PER_SECOND = 100.0
WRITTEN = 8 << 20
"""Bytes that may wait for a peer that does not read: beside messages, which wait for its window, only answers to such frames do."""
PREFACE = 24
"""Bytes of what a client says first."""
_HEAD = 9
_DATA, _HEADERS, _PRIORITY, _RESET, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_COSTS: Mapping[int, float] = {
    _HEADERS: 0.05,
    _PRIORITY: 1.0,
    _RESET: 1.0,
    _SETTINGS: 1.0,
    _PUSH: 1.0,
    # Go's gRPC sends one with each round trip while it is sent data.
    _PING: 0.02,
    _GOAWAY: 1.0,
    _WINDOW: 0.002,
    _CONTINUATION: 0.1,
}
_EMPTY = 0.1
_UNKNOWN = 1.0


class Flooded(Exception):
    """It is too much."""


class Bucket:
    """One connection's. `skip`: bytes that come before the first frame."""

    def __init__(self, skip: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = BUCKET
        self._at = clock()
        self._skip = skip
        self._head = b""

    def take(self, data: bytes) -> None:
        """Bytes came; frames may be cut anywhere. Raises Flooded."""
        at = 0
        while True:
            if self._skip:
                passed = min(self._skip, len(data) - at)
                self._skip -= passed
                at += passed
            if at >= len(data):
                return
            wanted = _HEAD - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) < _HEAD:
                return
            size, kind = int.from_bytes(self._head[:3], "big"), self._head[3]
            self._head = b""
            self._skip = size
            cost = (0.0 if size else _EMPTY) if kind == _DATA else _COSTS.get(kind, _UNKNOWN)
            if cost:
                self._pay(cost, kind)

    def _pay(self, cost: float, kind: int) -> None:
        self._left -= cost
        if self._left < 0:
            now = self._clock()
            self._left = min(self._left + (now - self._at) * PER_SECOND, BUCKET)
            self._at = now
            if self._left < 0:
                raise Flooded(f"frames of the kind {kind} and the like came too often")
