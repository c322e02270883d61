"""Subordinate ids: which ranges of the machine's user and group ids are a user's to map, and the map made of them. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 65536
"""What an image's ids need: 0 to 65535, nobody included."""

_IDS = 2**32 - 1

Range = tuple[int, int]
"""The first id and how many there are."""


def ranges(text: str, name: str, number: int) -> list[Range]:
    """A user's lines in /etc/subuid or /etc/subgid (subuid(5)), by login name or by number, in their order.

    Lines that are none are passed over, as newuidmap(1) does.
    """
    found = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in (name, str(number)) and _is_id(fields[1]) and _is_id(fields[2]):
            found.append((int(fields[1]), int(fields[2])))
    return [each for each in found if each[1] > 0]


def id_map(own: int, subordinate: Sequence[Range]) -> list[tuple[int, int, int]]:
    """Inside, outside, count: the user is root, and the subordinate ids follow from 1 on without a hole."""
    lines, inside = [(0, own, 1)], 1
    for start, count in subordinate:
        lines.append((inside, start, count))
        inside += count
    return lines


def words(lines: Sequence[tuple[int, int, int]]) -> list[str]:
    """A map as the arguments of newuidmap(1) and newgidmap(1) behind the pid."""
    return [str(number) for line in lines for number in line]


def next_free(text: str, least: int = 100_000) -> int:
    """Where a range could begin that no line of the file overlaps: for a hint."""
    ends = [
        int(fields[1]) + int(fields[2].strip()) for line in text.splitlines() if _is_line(fields := line.split(":"))
    ]
    return max([least, *ends])


def _is_line(fields: Sequence[str]) -> bool:
    return len(fields) == 3 and _is_id(fields[1]) and _is_id(fields[2].strip())


def _is_id(text: str) -> bool:
    # The length first: Python refuses to read thousands of digits.
    return text.isdecimal() and len(text) <= len(str(_IDS)) and int(text) <= _IDS
