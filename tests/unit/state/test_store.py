"""The store: what is acknowledged is on disk, what failed is nowhere."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.errors import System
from sampan.state import schema
from sampan.state import store as module
from sampan.state.store import Change, Delete, Put, Store

SOURCE = str(Path(__file__).parents[3] / "src")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "sampan.db")
    yield opened
    opened.close()


def rows_on_disk(path: Path) -> dict[tuple[str, str], bytes]:
    database = sqlite3.connect(path)
    try:
        return {(table, key): value for table, key, value in database.execute("SELECT tbl, key, value FROM entry")}
    finally:
        database.close()


def test_a_change_is_seen_at_once_and_on_disk_when_acknowledged(store: Store, tmp_path: Path) -> None:
    table = store.table("images")
    done = store.commit([Put("images", "a", b"1"), Put("tags", "x", b"a")])
    assert table["a"] == b"1"
    done.result(5)
    assert rows_on_disk(tmp_path / "sampan.db") == {("images", "a"): b"1", ("tags", "x"): b"a"}


def test_delete_and_overwrite_survive_a_reopen(tmp_path: Path) -> None:
    first = Store(tmp_path / "db")
    first.commit([Put("t", "a", b"1"), Put("t", "b", b"2")]).result(5)
    first.commit([Delete("t", "a"), Delete("t", "never"), Put("t", "b", b"3")]).result(5)
    first.close()
    second = Store(tmp_path / "db")
    assert dict(second.table("t")) == {"b": b"3"}
    second.close()


def test_close_writes_what_was_handed_in(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    waiting = [store.commit([Put("t", str(number), b"x")]) for number in range(300)]
    store.close()
    assert all(done.result(0) is None for done in waiting)
    assert len(rows_on_disk(tmp_path / "db")) == 300
    with pytest.raises(System, match="closed"):
        store.commit([Put("t", "late", b"")])


def test_commits_from_many_threads_all_arrive(store: Store, tmp_path: Path) -> None:
    def work(worker: int) -> None:
        for number in range(50):
            store.commit([Put("t", f"{worker}/{number}", b"v")]).result(10)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows_on_disk(tmp_path / "sampan.db")) == 200
    assert len(store.table("t")) == 200


def test_an_error_reaches_every_waiter_and_memory_goes_back(store: Store, tmp_path: Path) -> None:
    store.commit([Put("t", "kept", b"old")]).result(5)
    # A page limit is how SQLite itself says that the disk is full.
    store._database.execute("PRAGMA max_page_count = 8")
    failed = [
        store.commit([Put("t", "kept", b"new"), Put("t", "big", bytes(1 << 20))]),
        store.commit([Put("t", "big2", bytes(1 << 20))]),
    ]
    for done in failed:
        with pytest.raises(System, match="no space left on device"):
            done.result(5)
    assert dict(store.table("t")) == {"kept": b"old"}
    assert rows_on_disk(tmp_path / "sampan.db") == {("t", "kept"): b"old"}
    store._database.execute("PRAGMA max_page_count = 100000")
    store.commit([Put("t", "big", bytes(1 << 20))]).result(5)
    assert len(rows_on_disk(tmp_path / "sampan.db")) == 2


def test_nobody_calls_a_change_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is cancelled cancels what it waits for: asyncio passes that on."""
    persist, going = Store._persist, threading.Event()

    def held(self: Store, group: list[module._Batch]) -> None:
        going.wait(5)
        persist(self, group)

    monkeypatch.setattr(Store, "_persist", held)
    done = store.commit([Put("t", "a", b"1")])
    assert not done.cancel()
    going.set()
    done.result(5)
    store.commit([Put("t", "b", b"2")]).result(5)


def test_too_many_waiting_batches_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 3)
    with store._lock:
        store._waiting += 3
    with pytest.raises(System, match="cannot keep up"):
        store.commit([Put("t", "a", b"1")])
    assert "a" not in store.table("t")
    with store._lock:
        store._waiting -= 3
    store.commit([Put("t", "a", b"1")]).result(5)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(
        System, match=r"is of version 99, and this program knows \d+: a newer Sampan has used this data root"
    ):
        Store(tmp_path / "db")


def test_an_older_database_is_brought_to_this_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    places = {
        "endpoint": {"network": "a", "veth": {"mtu": 1}},
        "forwards": [],
        "more": [{"network": "b", "veth": None}],
    }
    store.commit(
        [Put("container-endpoints", "c", json.dumps(places).encode()), Put("containers", "c", b"as it was")]
    ).result(5)
    store.close()
    database = sqlite3.connect(tmp_path / "db")
    database.execute("PRAGMA user_version = 1")
    database.close()
    for _ in range(2):
        store = Store(tmp_path / "db")
        now = json.loads(store.table("container-endpoints")["c"])
        assert [now["endpoint"], *now["more"]] == [{"network": "a", "link": {"mtu": 1}}, {"network": "b", "link": None}]
        assert store.table("containers")["c"] == b"as it was"
        store.close()
    database = sqlite3.connect(tmp_path / "db")
    assert database.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA,)
    database.close()


def test_a_step_that_fails_leaves_the_older_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM entry")
        raise sqlite3.DatabaseError("in the midst of it")

    store = Store(tmp_path / "db")
    store.commit([Put("t", "a", b"1")]).result(5)
    store.close()
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)
    monkeypatch.setattr(schema, "_STEPS", {schema.SCHEMA - 1: fails})
    with pytest.raises(System, match="in the midst of it"):
        Store(tmp_path / "db")
    assert rows_on_disk(tmp_path / "db") == {("t", "a"): b"1"}
    monkeypatch.undo()
    Store(tmp_path / "db").close()


def test_what_removes_has_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "db")
    reserve = tmp_path / "db.reserve"
    assert reserve.stat().st_size > 0
    store.commit([Put("t", "a", b"1"), Put("t", "b", b"2")]).result(5)
    # SQLite's own limit stands for a full disk, until the reserve is given up.
    store._database.execute("PRAGMA max_page_count = 1")
    given = store._reserve.give_up

    def give_up() -> bool:
        store._database.execute("PRAGMA max_page_count = 100000")
        return given()

    monkeypatch.setattr(store._reserve, "give_up", give_up)
    with pytest.raises(System, match=r"db: no space left on device$"):
        store.commit([Put("t", "large", bytes(1 << 20))]).result(5)
    assert reserve.exists()
    store.commit([Delete("t", "a"), Put("t", "large", bytes(1 << 20))]).result(5)
    assert set(store.table("t")) == {"b", "large"}
    store.close()
    # And there is room again, so some is kept back again.
    assert reserve.exists()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(System, match="not a database"):
        Store(tmp_path / "db")


@pytest.mark.crash
@pytest.mark.parametrize(("point", "there"), [("state-before-commit", False), ("state-after-commit", True)])
def test_a_crash_around_the_commit_leaves_all_or_nothing(tmp_path: Path, point: str, there: bool) -> None:
    program = (
        "import sys, pathlib\n"
        "from sampan.state.store import Put, Store\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "store.commit([Put('t', 'a', b'1'), Put('t', 'b', b'2')]).result()\n"
        "print('acknowledged')\n"
    )
    environment = {**os.environ, "SAMPAN_CRASH_AT": point, "PYTHONPATH": SOURCE}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "db")], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    again = Store(tmp_path / "db")
    changes: list[Change] = [Put("t", "c", b"3")]
    assert sorted(again.table("t")) == (["a", "b"] if there else [])
    again.commit(changes).result(5)
    again.close()
