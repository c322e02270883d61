"""What changed in a container (`docker diff`): its writable layer against what it stands on, in Docker's terms."""

import os
import stat
from collections.abc import Iterator

from sampan.files.walk import open_plain
from sampan.snapshots.comparison import entry_changed, lstat
from sampan.snapshots.difference import is_made_by_engine, is_opaque
from sampan.snapshots.protocol import Change, ChangeKind
from sampan.snapshots.whiteouts import Marks


def find_changes(lower: int, upper: int, marks: Marks | None, *, exact: bool = False) -> tuple[Change, ...]:
    """How `upper` differs from the whole tree `lower` (-1: an empty one). Descriptors of readable directories.

    With `marks`, `upper` holds only what differs, and these; else it is a whole tree, too. `exact` as in `comparison`.
    Raises OSError.
    """
    found: dict[bytes, ChangeKind] = {}
    # Each with whether it holds all that it has: nothing of the layers below shows in it.
    pending = [(b"", marks is None)]
    while pending:
        path, whole = pending.pop()
        current = open_plain(upper, path)
        if current < 0:
            continue  # gone, or something else stands there, since it was listed
        try:
            names = set()
            for name, status in _entries(current):
                names.add(name)
                inside = path + b"/" + name if path else name
                below = lstat(lower, inside)
                if marks is not None and (hidden := marks.hidden(name, status)) is not None:
                    gone = path + b"/" + hidden if path else hidden
                    if hidden and lstat(lower, gone) is not None:
                        found[gone] = ChangeKind.DELETED
                    continue
                if below is None and is_made_by_engine(inside, current, name, status, marks):
                    continue
                if entry_changed(lower, below, (inside, current, name, status), exact=exact):
                    found[inside] = ChangeKind.ADDED if below is None else ChangeKind.MODIFIED
                if stat.S_ISDIR(status.st_mode):
                    was_directory = below is not None and stat.S_ISDIR(below.st_mode)
                    opaque = marks is not None and is_opaque(current, name, marks)
                    pending.append((inside, whole or not was_directory or opaque))
        finally:
            os.close(current)
        if whole:
            found.update(dict.fromkeys(_gone(lower, path, names), ChangeKind.DELETED))
    return _sorted(found)


def _entries(directory: int) -> Iterator[tuple[bytes, os.stat_result]]:
    for name in os.listdir(directory):
        raw = os.fsencode(name)
        try:
            yield raw, os.stat(raw, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _gone(lower: int, path: bytes, names: set[bytes]) -> Iterator[bytes]:
    """What the directory had below and has no more; only the topmost of what is gone."""
    directory = open_plain(lower, path) if lower >= 0 else -1
    if directory < 0:
        return
    try:
        for name in os.listdir(directory):
            raw = os.fsencode(name)
            if raw not in names:
                yield path + b"/" + raw if path else raw
    finally:
        os.close(directory)


def _sorted(found: dict[bytes, ChangeKind]) -> tuple[Change, ...]:
    """With every directory on the way to a change, parents first."""
    complete = dict(found)
    for path in found:
        above = path.rpartition(b"/")[0]
        while above and above not in complete:
            complete[above] = ChangeKind.MODIFIED
            above = above.rpartition(b"/")[0]
    return tuple(Change(b"/" + path, complete[path]) for path in sorted(complete, key=lambda path: path.split(b"/")))
