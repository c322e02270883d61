"""A name for the files that a build is sent: the daemon that has them under it need not be sent them again.

Made of what stat(2) says of each: a file that was written to has another time of its last change. One that changed just now may
change again within the same tick of the kernel's clock, and nobody could tell: then there is no name.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Described(Protocol):
        """Files, or one."""

        def members(self) -> Iterator[bytes]:
            """Their part of an archive."""

        def described(self) -> Iterator[tuple[bytes, int]]:
            """What tells each from others, and when it changed last, in nanoseconds since the epoch."""


FEWEST = 200
"""Fewer files are sent sooner than asked for."""
_SETTLED = 100_000_000
"""Nanoseconds since the last change: many ticks."""


def stamp(parts: Iterable[Described]) -> str:
    """64 hexadecimal digits; "" where the files are few, or changed just now. Exit 1 for what cannot be read."""
    latest = time.time_ns() - _SETTLED
    texts = []
    for part in parts:
        for text, changed in part.described():
            if changed > latest:
                return ""
            texts.append(text)
    if len(texts) < FEWEST:
        return ""
    from hashlib import sha256

    return sha256(b"\n".join(texts)).hexdigest()
