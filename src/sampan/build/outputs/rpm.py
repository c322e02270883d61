"""rpm's database as sqlite keeps it (`rpmdb.sqlite`, rpm 4.16 and later): a header of each package, as rpm has it in memory.

header   count, size (big-endian), count × (tag, type, offset, number), data
tags     1000 name, 1001 version, 1002 release, 1003 epoch, 1014 license, 1022 architecture, 1044 source package
"""

import sqlite3
import struct
from collections.abc import Iterator

_STRING, _INT32, _I18N = 6, 4, 9
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENSE, _ARCHITECTURE, _SOURCE = 1000, 1001, 1002, 1003, 1014, 1022, 1044
_OF_USE = frozenset((_NAME, _VERSION, _RELEASE, _EPOCH, _LICENSE, _ARCHITECTURE, _SOURCE))
_KEYS = "gpg-pubkey"
_MOST_ENTRIES = 4096
_TEXT_LIMIT = 4096
"""Bytes of a text: any number of entries may name the same megabytes."""
_STEPS = 50_000_000
"""Instructions of sqlite's machine: a database that is made to last is given up."""

Found = tuple[str, str, str, str, str]
"""Name, version (`epoch:version-release`), architecture, licence, file name of the source package."""


def packages(data: bytes) -> Iterator[Found]:
    """The packages of a database in memory; it is a stranger's. Raises ValueError for what is none."""
    steps = 0

    def tick() -> int:
        nonlocal steps
        steps += 1
        return int(steps > _STEPS // 10_000)

    database = sqlite3.connect(":memory:")
    try:
        database.set_progress_handler(tick, 10_000)
        database.deserialize(data)
        # Neither triggers nor views of a schema that somebody made run anything.
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA query_only = ON")
        for (blob,) in database.execute("SELECT blob FROM Packages"):
            found = header(blob) if isinstance(blob, bytes) else {}
            name = found.get(_NAME, "")
            if name and name != _KEYS:
                epoch = found.get(_EPOCH, "")
                version = f"{found.get(_VERSION, '')}-{found.get(_RELEASE, '')}"
                version = f"{epoch}:{version}" if epoch not in ("", "0") else version
                yield name, version, found.get(_ARCHITECTURE, ""), found.get(_LICENSE, ""), found.get(_SOURCE, "")
    except (sqlite3.Error, MemoryError) as error:
        raise ValueError(f"rpmdb.sqlite: {error}") from error
    finally:
        database.close()


def header(blob: bytes) -> dict[int, str]:
    """The texts and numbers of the tags that are of use. Raises ValueError for a header that is none."""
    try:
        count, size = struct.unpack_from(">II", blob)
        if count > _MOST_ENTRIES:
            raise ValueError("a header of rpm has too many entries")
        start = 8 + 16 * count
        found: dict[int, str] = {}
        for number in range(count):
            tag, kind, offset, _ = struct.unpack_from(">IIII", blob, 8 + 16 * number)
            if offset >= size or tag not in _OF_USE:
                continue
            if kind in (_STRING, _I18N):
                end = blob.index(b"\0", start + offset, start + offset + _TEXT_LIMIT)
                found[tag] = blob[start + offset : end].decode("utf-8", "replace")
            elif kind == _INT32:
                found[tag] = str(struct.unpack_from(">I", blob, start + offset)[0])
    except (struct.error, ValueError) as error:
        raise ValueError(f"rpmdb.sqlite: a header is malformed: {error}") from error
    return found
