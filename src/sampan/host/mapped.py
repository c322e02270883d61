"""Whether this process's root is the machine's: in a user namespace of an ordinary user's it is root of what is mapped there alone.

What the kernel keeps from such a root (device nodes, `trusted.*` attributes, file systems that are locked) is asked by this
one question in every room; everything else is tried. Standard library only: loaded by the launcher and by jailed processes.
"""

from __future__ import annotations

_WHOLE = (0, 0, 4294967295)
"""The map of the first user namespace (user_namespaces(7))."""


class Extent:
    """One line of uid_map or gid_map: `count` ids from `inside` are those from `outside`."""

    __slots__ = ("count", "inside", "outside")

    def __init__(self, inside: int, outside: int, count: int) -> None:
        self.inside = inside
        self.outside = outside
        self.count = count


def parse_map(text: str) -> list[Extent]:
    """The lines of /proc/PID/uid_map or gid_map. Raises ValueError for what is none."""
    return [Extent(*(int(word) for word in line.split())) for line in text.splitlines() if line.strip()]


def is_mapped(path: str = "/proc/self/uid_map") -> bool:
    """Whether this process stands in a user namespace that is not the first. Raises OSError where there is no /proc."""
    with open(path, encoding="ascii") as file:
        extents = parse_map(file.read())
    return [(one.inside, one.outside, one.count) for one in extents] != [_WHOLE]


def highest_group(path: str = "/proc/self/gid_map") -> int:
    """The last group id that is mapped without a hole from 0 on: a range of groups that the kernel is told may not go beyond."""
    with open(path, encoding="ascii") as file:
        extents = sorted(parse_map(file.read()), key=lambda one: one.inside)
    last = -1
    for one in extents:
        if one.inside != last + 1:
            break
        last = one.inside + one.count - 1
    return last
