"""Two programs that are asked in turn say the same, though what they speak of may move on between the two."""

from collections.abc import Callable


def agree(ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """AssertionError if they differ while `theirs`, asked before and after `ours`, stays the same, or moves on without end.

    An age of seconds or the %CPU of a process that has just begun is another one on either side of a boundary.
    """
    said, mine = theirs(), ours()
    for _ in range(5):
        if mine == said:
            return
        before, said = said, theirs()
        if mine == said:
            return
        assert before != said, f"{mine!r} is not {said!r}"
        mine = ours()
    raise AssertionError(f"{mine!r} is not {said!r}, which moves on")
