"""The database's file: opened, made, brought from an older version to this program's; and what its faults mean.

    PRAGMA user_version    0  just made, or by a program that died while making it
                           n  tables as version n has them; `_STEPS[n]` makes n + 1 of them

What the values say is the affair of the rooms that put them there: members are only added to them, with a default, and what is
not known is passed over. Any other change raises the version and has a step here.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from sampan.errors import System, host_words
from sampan.files.probing import refusal

SCHEMA = 2
"""Version of the tables. A database of a newer version is refused: an older daemon would misread it."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode to the database at `path`, made or brought to this version where that is needed.

    Raises sqlite3.Error, System for one of a newer version. May be given to another thread.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise System(
                f"state database {path} is of version {version}, and this program knows {SCHEMA}: a newer Sampan has used this "
                "data root; start that one, or this one with another --data-root"
            )
        # WAL with FULL syncs the log at each commit: an acknowledged change survives a power cut.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA wal_autocheckpoint = 1000")
        while version < SCHEMA:
            _step(database, version)
            version += 1
    except BaseException:
        database.close()
        raise
    return database


def _step(database: sqlite3.Connection, version: int) -> None:
    """From `version` to the next, in one transaction: a crash leaves the one or the other."""
    database.execute("BEGIN IMMEDIATE")
    try:
        _STEPS[version](database)
        database.execute(f"PRAGMA user_version = {version + 1}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _entries(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE TABLE IF NOT EXISTS entry(tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE(tbl, key))"
    )


def _links(database: sqlite3.Connection) -> None:
    """Where a container stands in a network: what was called `veth` when there were no other links is its `link`."""
    table = "container-endpoints"
    for key, value in database.execute("SELECT key, value FROM entry WHERE tbl = ?", (table,)).fetchall():
        kept = msgspec.json.decode(value)
        for endpoint in (kept.get("endpoint"), *kept.get("more", ())):
            if endpoint and "veth" in endpoint:
                endpoint["link"] = endpoint.pop("veth")
        changed = (msgspec.json.encode(kept), table, key)
        database.execute("UPDATE entry SET value = ? WHERE tbl = ? AND key = ?", changed)


_STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {0: _entries, 1: _links}
"""By the version that a step begins with."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk has no room for what was to be written."""
    # What the module says by itself has no code.
    return getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def meaning(path: Path, error: sqlite3.Error) -> str:
    """What the user is told of a fault, in the kernel's words where they are known."""
    if is_full(error):
        return f"state database {path}: no space left on device"
    refused = refusal(path.parent)
    return f"state database {path}: {host_words(refused) if refused is not None else error}"
