"""The kernel tells of every change of rules on the host, whosever they are: ours are looked at soon, once for many changes.

Another engine beside us changes its own a hundred times a second, and to look at ours costs milliseconds.
"""

import asyncio
from typing import Protocol

_SECONDS = 0.2
"""Ours come back within a second after they were flushed."""


class Watched(Protocol):
    """What is looked at: `network.networks.Networks`, open."""

    def drain(self) -> None:
        """Read away what was told."""
        ...

    def restore(self) -> bool:
        """Put back what is missing; whether something was."""
        ...


class RulesWatch:
    """Belongs to the running loop."""

    def __init__(self, networks: Watched) -> None:
        self._networks = networks
        self._due: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Somebody changed something."""
        self._networks.drain()
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(_SECONDS, self._look)

    def _look(self) -> None:
        self._due = None
        self._networks.restore()
