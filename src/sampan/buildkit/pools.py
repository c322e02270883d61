"""What clients' directories were at their last builds, so that only changes are sent: a few of them, within a budget."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sampan.buildkit.synced import Pool

_MOST = 32
_BUDGET = 8 << 30
"""Bytes on the disk, of all of them together."""


class Pools:
    """By what the client shares between its builds (its key and the directory's name). On the event loop."""

    def __init__(self, directory: Path) -> None:
        """Contents are kept in files without names on the file system of `directory`."""
        self._directory = directory
        self._idle: dict[str, Pool] = {}

    @asynccontextmanager
    async def taken(self, key: str) -> AsyncIterator[Pool]:
        """The pool, for one transfer; a fresh one for a second transfer at the same time. Without a key nothing is kept."""
        pool = self._idle.pop(key, None) if key else None
        if pool is None or pool.end > 2 * pool.live + (64 << 20):
            # More than half of it is nobody's any more.
            if pool is not None:
                os.close(pool.spool)
            pool = Pool(await asyncio.to_thread(self._spool))
        kept = False
        try:
            yield pool
            kept = bool(key) and key not in self._idle
        finally:
            # After a fault it is not known what it holds.
            if kept:
                self._idle[key] = pool
                self._trim()
            else:
                os.close(pool.spool)

    def _spool(self) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._directory, os.O_TMPFILE | os.O_RDWR, 0o600)

    def _trim(self) -> None:
        """The least recently used go."""
        while len(self._idle) > _MOST or (
            len(self._idle) > 1 and sum(one.end for one in self._idle.values()) > _BUDGET
        ):
            oldest = next(iter(self._idle))
            os.close(self._idle.pop(oldest).spool)

    def close(self) -> None:
        """Let go of all of them."""
        for pool in self._idle.values():
            os.close(pool.spool)
        self._idle.clear()
