"""The one database of a daemon: read from memory, written by one thread, each batch durable before it is acknowledged.

    callers ── commit([Put, Delete, …]) ──▶ memory (at once) ──▶ bounded queue ──▶ writer thread ──▶ SQLite (WAL, FULL)
            ◀────────────── Future ─────────────────────────────────────────────── one COMMIT for all that waited

Readers see a change from the moment it is handed in; whoever must not forget it awaits the future. Where a commit fails
(disk full), memory goes back to what the disk has for every key of the failed batches, and every waiter gets the error.

On a full disk a batch that removes something gets the room that is kept back beside the database (`reserve`).
"""

import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from sampan.crashpoints import crash_point
from sampan.errors import System
from sampan.state import schema
from sampan.state.reserve import Reserve

QUEUE_LIMIT = 4096
"""Batches that may wait for the writer; `commit` raises beyond that instead of growing."""
_GROUP = 256
"""Batches that share one COMMIT at most, so that the first of them does not wait for ever."""


@dataclass(frozen=True, slots=True)
class Put:
    """Set `key` of `table` to `value`."""

    table: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove `key` of `table`; nothing happens where it is not there."""

    table: str
    key: str


Change = Put | Delete


class Table(Mapping[str, bytes]):
    """One table as it stands in memory: every change that was handed in, durable or about to be.

    Iterates in the order in which keys were first put. Not for iterating while other threads commit.
    """

    def __init__(self, rows: dict[str, bytes]) -> None:
        self._rows = rows

    def __getitem__(self, key: str) -> bytes:
        return self._rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(slots=True)
class _Batch:
    changes: Sequence[Change]
    done: "Future[None]"


class Store:
    """Tables of bytes in one SQLite file. `commit` and `table` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the database at `path`. Raises System where it is newer than this program or cannot be read."""
        self._path = path
        self._reserve = Reserve(path.with_name(f"{path.name}.reserve"))
        self._memory: dict[str, dict[str, bytes]] = {}
        self._views: dict[str, Table] = {}
        self._lock = threading.Lock()
        # SimpleQueue costs a fifth of Queue; it has no bound of its own, so batches under way are counted here.
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._waiting = 0
        self._closed = False
        try:
            database = self._open()
            for table, key, value in database.execute("SELECT tbl, key, value FROM entry ORDER BY rowid"):
                self._memory.setdefault(table, {})[key] = value
            # The connection moves to the writer thread for good.
        except sqlite3.Error as error:
            raise System(schema.meaning(path, error)) from error
        self._reserve.keep()
        self._database = database
        self._writer = threading.Thread(target=self._write, name="state-writer", daemon=True)
        self._writer.start()

    def _open(self) -> sqlite3.Connection:
        """On a full disk with the room that was kept back: the files beside a database in use take some."""
        try:
            return schema.connect(self._path)
        except sqlite3.Error as error:
            if not (schema.is_full(error) and self._reserve.give_up()):
                raise
        return schema.connect(self._path)

    def table(self, name: str) -> Table:
        """The table called `name`, empty where nothing was put yet."""
        with self._lock:
            view = self._views.get(name)
            if view is None:
                view = self._views[name] = Table(self._memory.setdefault(name, {}))
            return view

    def commit(self, changes: Sequence[Change]) -> "Future[None]":
        """Hand in changes that become durable together or not at all.

        They are seen in memory at once. The future, which cannot be cancelled, ends when they are on disk, or with System where
        they could not be written; then memory shows what it showed before. Raises System where too many batches wait or after
        `close`.
        """
        done: Future[None] = Future()
        # It is under way from here on: whoever stops waiting calls nothing off, and the writer finds no future cancelled.
        done.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise System("the state database is closed")
            if self._waiting >= QUEUE_LIMIT:
                raise System("the state database cannot keep up: too many changes wait to be written")
            self._waiting += 1
            self._queue.put(_Batch(changes, done))
            for change in changes:
                rows = self._memory.setdefault(change.table, {})
                if isinstance(change, Put):
                    rows[change.key] = change.value
                else:
                    rows.pop(change.key, None)
        return done

    def close(self) -> None:
        """Write what was handed in, then close the file. Later commits are refused. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._writer.join()

    def _write(self) -> None:
        """The writer thread: takes all that waits, makes it durable with one COMMIT, tells the waiters."""
        ended = False
        while not ended:
            first = self._queue.get()
            if first is None:
                break
            group = [first]
            while len(group) < _GROUP:
                try:
                    batch = self._queue.get_nowait()
                except queue.Empty:
                    break
                if batch is None:
                    ended = True
                    break
                group.append(batch)
            self._settle(group)
        self._database.close()

    def _settle(self, group: list[_Batch]) -> None:
        try:
            self._persist_somehow(group)
        except sqlite3.Error as error:
            failure = System(schema.meaning(self._path, error))
            with self._lock:
                # Batches still queued were computed on what is rolled back here; they fail with it, so that no later
                # change stands on one that was lost.
                group += self._drained()
                try:
                    self._restore(group)
                except sqlite3.Error:
                    # Not even readable any more: what memory shows cannot be trusted to last, so nothing is taken in.
                    self._closed = True
                self._waiting -= len(group)
            for batch in group:
                batch.done.set_exception(failure)
            return
        with self._lock:
            self._waiting -= len(group)
        for batch in group:
            batch.done.set_result(None)

    def _persist_somehow(self, group: list[_Batch]) -> None:
        try:
            self._persist(group)
        except sqlite3.Error as error:
            removes = any(isinstance(change, Delete) for batch in group for change in batch.changes)
            if not (removes and schema.is_full(error) and self._reserve.give_up()):
                raise
            self._persist(group)
        self._reserve.keep()

    def _persist(self, group: list[_Batch]) -> None:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            for batch in group:
                for change in batch.changes:
                    if isinstance(change, Put):
                        database.execute(
                            "INSERT INTO entry(tbl, key, value) VALUES(?, ?, ?)"
                            " ON CONFLICT(tbl, key) DO UPDATE SET value = excluded.value",
                            (change.table, change.key, change.value),
                        )
                    else:
                        database.execute("DELETE FROM entry WHERE tbl = ? AND key = ?", (change.table, change.key))
            crash_point("state-before-commit")
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        crash_point("state-after-commit")

    def _drained(self) -> list[_Batch]:
        waiting: list[_Batch] = []
        while True:
            try:
                batch = self._queue.get_nowait()
            except queue.Empty:
                return waiting
            if batch is None:
                self._queue.put(None)
                return waiting
            waiting.append(batch)

    def _restore(self, group: list[_Batch]) -> None:
        """Set every key that a failed group touched back to what the disk has."""
        for table, key in {(change.table, change.key) for batch in group for change in batch.changes}:
            row = self._database.execute("SELECT value FROM entry WHERE tbl = ? AND key = ?", (table, key)).fetchone()
            rows = self._memory.setdefault(table, {})
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row[0]
