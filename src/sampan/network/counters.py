"""What has gone through the interfaces of a container, read from its own network namespace."""

import os
from collections.abc import Collection
from dataclasses import dataclass

_ROOM = 64 * 1024
_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Counters:
    """One interface, since it is there."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Meter:
    """The counters of one namespace. The open file keeps the namespace alive: close it as soon as its container has ended."""

    __slots__ = ("_descriptor",)

    def __init__(self, pid: int) -> None:
        """Open those of the namespace that the process `pid` stands in. Raises OSError where there is no such process."""
        self._descriptor = os.open(f"/proc/{pid}/net/dev", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the namespace; again is allowed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, interfaces: Collection[str]) -> dict[str, Counters]:
        """By interface. `interfaces` are those that the engine gave it: what a program makes for itself would be counted twice."""
        return parse(os.pread(self._descriptor, _ROOM, 0).decode("ascii", "replace"), interfaces)


def parse(text: str, interfaces: Collection[str]) -> dict[str, Counters]:
    """/proc/net/dev: two lines of headings, then `name: ` and sixteen numbers, received ones first. Pure."""
    found = {}
    for line in text.split("\n")[2:]:  # not splitlines: names of interfaces are a container's own
        name, _, rest = line.partition(":")
        name, numbers = name.strip(" "), rest.split()
        if name in interfaces and len(numbers) == _FIELDS:
            received, sent = map(int, numbers[:4]), map(int, numbers[8:12])
            found[name] = Counters(*received, *sent)
    return found
