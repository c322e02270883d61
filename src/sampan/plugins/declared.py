"""Which drivers installed packages declare, by their names alone.

Source: https://packaging.python.org/specifications/entry-points/: `entry_points.txt` in a distribution's `.dist-info`. The library
for it, importlib.metadata, brings 150 modules into a daemon that asks this whenever a volume has no driver's name; a driver's own
process, which imports what is declared, goes by the library.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from sampan.drivers.groups import GROUPS

_FILE_LIMIT = 1 << 20
_MOST = 8192
"""Entries of one directory that are looked at."""


def declared(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, kind) of each driver that a distribution in `places` declares, as they are written. Missing places are passed over."""
    for place in dict.fromkeys(places):
        for distribution in _distributions(place or "."):
            yield from _read(_text(f"{distribution}/entry_points.txt"))


def _distributions(place: str) -> list[str]:
    try:
        with os.scandir(place) as entries:
            found = [entry.path for entry, _ in zip(entries, range(_MOST), strict=False)]
    except OSError:
        return []
    return sorted(path for path in found if path.endswith(".dist-info"))


def _text(path: str) -> str:
    """ "" for what is missing, unreadable, too large or no text: such a package declares nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_LIMIT:
            return ""
        return os.read(descriptor, _FILE_LIMIT).decode()
    except (OSError, UnicodeDecodeError):
        return ""
    finally:
        os.close(descriptor)


def _read(text: str) -> Iterator[tuple[str, str]]:
    """Of an INI file in which every line is a `[group]`, `name = object`, a comment or empty."""
    kind: str | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            kind = GROUPS.get(line[1:-1])
        elif kind is not None and "=" in line and not line.startswith(("#", ";")):
            yield line.partition("=")[0].strip(), kind
