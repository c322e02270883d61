"""The maps of sparse files in GNU's four forms: old headers and pax 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files").

A map says where in a file the bytes that the archive holds belong; everywhere else are zeros. Every number is hostile.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Regions = tuple[tuple[int, int], ...]
"""Offset and length of each region, ascending; none overlaps another."""

MAX_REGIONS = 100_000
MAX_SIZE = (1 << 63) - 1
BLOCK = 512
_MAP_LIMIT = 4 << 20
_OLD_FIRST, _OLD_COUNT, _OLD_MORE, _OLD_SIZE = 386, 4, 482, 483
_NEXT_COUNT, _NEXT_MORE = 21, 504


class BadMap(ValueError):
    """The map is none: a number is malformed, out of order or out of range, or there are too many."""


def old_map(header: bytes, number: Callable[[bytes], int], block: Callable[[], bytes]) -> tuple[int, Regions]:
    """Size and map of an entry of type S: of its header, and of further blocks while these say that more follow.

    `number` reads a field, `block` gives the next block of the archive. Raises BadMap, and what these two raise.
    """
    size = number(header[_OLD_SIZE : _OLD_SIZE + 12])
    pairs: list[tuple[int, int]] = []
    _take_old(header[_OLD_FIRST:_OLD_MORE], _OLD_COUNT, number, pairs)
    more = header[_OLD_MORE]
    while more:
        following = block()
        _take_old(following, _NEXT_COUNT, number, pairs)
        more = following[_NEXT_MORE]
    return size, _checked(pairs, size)


def _take_old(data: bytes, count: int, number: Callable[[bytes], int], pairs: list[tuple[int, int]]) -> None:
    for at in range(0, 24 * count, 24):
        if not data[at]:
            break
        pairs.append((number(data[at : at + 12]), number(data[at + 12 : at + 24])))
    if len(pairs) > MAX_REGIONS:
        raise BadMap(f"more than {MAX_REGIONS} regions")


def listed_map(numbers: Iterable[bytes], size: bytes) -> tuple[int, Regions]:
    """Size and map of pax 0.0 and 0.1: offset, length, offset, length … Raises BadMap."""
    values = [_decimal(text) for text in numbers]
    if len(values) % 2 or len(values) > 2 * MAX_REGIONS:
        raise BadMap("an odd or excessive count of numbers")
    whole = _decimal(size)
    return whole, _checked(list(zip(values[::2], values[1::2], strict=True)), whole)


def leading_map(read: Callable[[], bytes], size: bytes) -> tuple[int, Regions, int]:
    """Size and map of pax 1.0, which stands in front of the content, and how many bytes of the content it takes.

    `read` gives the content's next block. Raises BadMap, and what `read` raises.
    """
    text = b""
    lines: list[bytes] = []
    wanted = 1
    taken = 0
    while len(lines) < wanted:
        block = read()
        if len(block) != BLOCK or taken >= _MAP_LIMIT:
            raise BadMap("the map has no end")
        taken += BLOCK
        *whole, text = (text + block).split(b"\n")
        if not lines and whole:
            count = _decimal(whole[0])
            if count > MAX_REGIONS:
                raise BadMap(f"more than {MAX_REGIONS} regions")
            wanted = 1 + 2 * count
        lines += whole
        if len(text) > 20 and not text.startswith(b"\0"):
            raise BadMap("a number is too long")
    values = [_decimal(line) for line in lines[1:wanted]]
    whole_size = _decimal(size)
    return whole_size, _checked(list(zip(values[::2], values[1::2], strict=True)), whole_size), taken


def _checked(pairs: list[tuple[int, int]], size: int) -> Regions:
    end = 0
    for offset, length in pairs:
        if offset < end or length < 0:
            raise BadMap("regions overlap or are out of order")
        end = offset + length
    if not 0 <= size <= MAX_SIZE or end > size:
        raise BadMap("a region lies behind the file's end")
    return tuple(pair for pair in pairs if pair[1])


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise BadMap("a number is malformed")
    return int(text)
