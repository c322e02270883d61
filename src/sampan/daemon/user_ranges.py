"""Ranges of the host's users for containers, none of them twice. Pure.

A container's users are a piece of one of the pool's ranges, the first that is free. What is taken is what the containers have
that exist: a range is kept with its container's definition, and free when that is removed. There is no other book to go wrong.
"""

from collections.abc import Iterable, Sequence

from sampan.daemon import userns_mode
from sampan.errors import System
from sampan.spec.user_maps import Rows

Range = tuple[int, int]
"""First id on the host, and how many."""


def fill(size: int, fixed: Rows, pool: Sequence[Range], taken: Iterable[Range], what: str) -> Rows:
    """A map of the ids 0 to `size`: those in `fixed` as they say, the others to a free piece of the pool.

    Raises InvalidParameter where `fixed` contradicts itself, System where the pool has no room.
    """
    holes = _holes(size, fixed)
    wanted = sum(count for _, count in holes)
    rows = list(fixed)
    if wanted:
        host = _free(wanted, pool, [*taken, *((host, count) for _, host, count in fixed)], what)
        for first, count in holes:
            rows.append((first, host, count))
            host += count
    found = tuple(sorted(rows))
    userns_mode.check(found, what)
    return found


def _holes(size: int, fixed: Rows) -> list[Range]:
    """What of 0 to `size` is not in `fixed`."""
    holes = []
    at = 0
    for first, _, count in sorted(fixed):
        if at < min(first, size):
            holes.append((at, min(first, size) - at))
        at = max(at, first + count)
    if at < size:
        holes.append((at, size - at))
    return holes


def _free(wanted: int, pool: Sequence[Range], taken: Iterable[Range], what: str) -> int:
    occupied = sorted(taken)
    for first, count in sorted(pool):
        at, end = first, first + count
        for start, length in occupied:
            if start + length <= at:
                continue
            if start - at >= wanted:
                break
            at = start + length
        if at + wanted <= end:
            return at
    total = sum(count for _, count in pool)
    raise System(
        f"no {wanted} {what}s in a row are free for a user namespace in the daemon's pool of {total}: remove containers, ask for "
        "less (--userns auto:size=…), or give the daemon a larger pool (userns-pool)"
    )
