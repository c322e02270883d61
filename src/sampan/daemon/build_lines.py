"""The lines of a build's answer, on their way to the client."""

import asyncio
from collections import deque

from sampan.build.progress import Event, wire
from sampan.spec.builds import BuildInfo
from sampan.spec.document import encode
from sampan.spec.images import Progress

_WAITING = 64
"""Lines that may wait for the client before a program is kept from saying more."""
_CROWDED = 1024
"""Lines beyond which a pull's numbers are left out: the next ones say more."""


class Lines:
    """A client's. On the event loop; implements `build.progress.Progress`."""

    def __init__(self, *, quiet: bool) -> None:
        """`quiet`: of the classic lines only the last is told, and what went wrong."""
        self._quiet = quiet
        self._lines: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._over = False

    def put(self, line: Progress | BuildInfo) -> None:
        """One more of the classic builder's."""
        if not self._quiet and not (
            isinstance(line, Progress) and line.progress_detail and len(self._lines) > _CROWDED
        ):
            self.add(encode(line) + b"\r\n")

    def last(self, text: str) -> None:
        """What a quiet client is told: nothing before, and this."""
        if self._quiet:
            self.add(encode(Progress(stream=text)) + b"\r\n")

    def tell(self, event: Event) -> None:
        """One more, as an event."""
        self.add(wire(event))

    def add(self, line: bytes) -> None:
        """One more, as it goes out."""
        self._lines.append(line)
        self._more.set()

    def end(self) -> None:
        """No more comes."""
        self._over = True
        self._more.set()

    async def room(self) -> None:
        """Wait until the client has taken most of what waits."""
        while len(self._lines) > _WAITING:
            self._room.clear()
            await self._room.wait()

    async def take(self) -> bytes:
        """What waits, when something does; empty at the end."""
        while not self._lines and not self._over:
            self._more.clear()
            await self._more.wait()
        lines = b"".join(self._lines)
        self._lines.clear()
        self._room.set()
        return lines
