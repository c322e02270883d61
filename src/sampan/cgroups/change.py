"""Limits of a container that runs, changed all together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sampan.cgroups.apply import write
from sampan.cgroups.groupfile import read
from sampan.cgroups.plan import Write


def difference(before: Sequence[Write], after: Sequence[Write]) -> tuple[Write, ...]:
    """What is to be written so that groups which follow one plan follow the other; both for the same container. Pure.

    A limit that is only in the earlier plan stays: Docker has no way of saying "as if it had never been set".
    """
    known = set(before)
    return tuple(each for each in after if each not in known)


def change(groups: Mapping[str, str], writes: Sequence[Write]) -> None:
    """Do `writes` in order, as `apply.write`; where one is refused, put back what was there before any of them.

    May take as long as the kernel needs to take memory back. Raises OSError with the file and the value; a file that could
    not be put back either is told in its notes.
    """
    before = [(controller, name, read(f"{groups[controller]}/{name}")) for controller, name, _ in writes]
    try:
        write(groups, writes)
    except OSError as refused:
        for controller, name, text in reversed(before):
            # The first line: io.bfq.weight lists devices below its default. An empty cpuset is written as a bare newline.
            value = text.splitlines()[0] if text.strip() else "\n"
            try:
                write(groups, [(controller, name, value)])
            except OSError as error:
                refused.add_note(f"and not put back: {error}")
        raise
