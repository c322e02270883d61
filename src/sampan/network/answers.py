"""Responses of upstream servers, kept for as long as they hold: bounded in number, size and time. Pure.

Loaded by the launcher.
"""

from __future__ import annotations

from sampan.network import dns

_MOST = 4096
_LARGEST = 4096
_LONGEST = 300
"""Seconds: what changed upstream is seen after so long at the latest."""


class Answers:
    """A cache. The key is everything of the query but its number, and the servers that were asked; the oldest entry goes first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, bytes], tuple[float, bytes, dns.Lifetime]] = {}

    def keep(self, servers: object, query: bytes, end: int, response: bytes, now: float) -> None:
        """Take a response in, if it may be kept."""
        if len(response) > _LARGEST:
            return
        try:
            held = dns.lifetime(response, end)
        except dns.BadMessage:
            return
        if held.seconds <= 0:
            return
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[(servers, query[2:])] = (now, response, held)

    def find(self, servers: object, query: bytes, now: float) -> bytes:
        """The response to `query`, with its number; empty where none is held."""
        found = self._kept.get((servers, query[2:]))
        if found is None:
            return b""
        since, response, held = found
        age = int(now - since)
        if age >= min(held.seconds, _LONGEST):
            del self._kept[(servers, query[2:])]
            return b""
        return query[:2] + (dns.aged(response, held, age) if age else response)[2:]

    def clear(self) -> None:
        """Forget everything: the servers have changed."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
