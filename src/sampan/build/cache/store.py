"""The record store of one daemon: found by key, kept in memory while a build runs, written in one transaction at its end.

A record holds its layers and blobs as an image does (`Holdings` is one of the catalog's keepers): removing the image leaves them,
and a record whose layer was lost is not found. Decisions, writes and collections are made under the catalog's lock.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from sampan.build.cache.holdings import TABLE, Holdings
from sampan.build.cache.records import Entry, Record
from sampan.build.keys import Key
from sampan.crashpoints import crash_point
from sampan.images.catalog import Catalog
from sampan.images.leases import Lease
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ChainId, Digest
from sampan.state.store import Delete, Put, Store

_JUST_NOW = 1_000_000_000
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Use:
    count: int = 0
    last: int = 0

    def told(self, record: Record) -> Record:
        return msgspec.structs.replace(record, uses=record.uses + self.count, used=max(record.used, self.last))


@dataclass(frozen=True, slots=True)
class Dropped:
    """What went: the keys of records, and the bytes of layers and blobs that nothing else needed."""

    keys: tuple[Key, ...]
    freed: int


@dataclass(slots=True)
class _Unwritten:
    made: dict[Key, Record] = field(default_factory=dict)
    uses: dict[Key, _Use] = field(default_factory=dict)


class BuildCache:
    """Any thread may call; the calls that say so wait for the disk."""

    def __init__(self, catalog: Catalog, store: Store, holdings: Holdings) -> None:
        """`holdings` was made of the same table, and is among the catalog's keepers."""
        self.catalog = catalog
        self._store = store
        self._rows = store.table(TABLE)
        self._holdings = holdings
        self._decode = msgspec.json.Decoder(Record).decode
        self._unwritten = _Unwritten()
        self._pins: dict[Key, int] = {}

    def find(self, key: Key, lease: Lease, seen: set[str] | None = None) -> Record | None:
        """The record of that key, all of whose layers and blobs are here and now held by `lease`; None where there is none.

        Counted as a use of it; what it was made from is as recently used from then on. `seen`: layers and blobs that were looked
        at under this lease; a stack's other layers are those of the step below.
        """
        with self.catalog.lock:
            record = self.peek(key)
            if record is None:
                return None
            for name in record.needs:
                lease.take(name)
            if not self._is_whole(record, seen if seen is not None else set()):
                return None
            self._used(key, time.time_ns())
            return record

    def peek(self, key: Key) -> Record | None:
        """The record, which holds nothing and counts no use: layers may be lost."""
        made = self._unwritten.made.get(key)
        if made is not None:
            return made
        row = self._rows.get(key)
        return None if row is None else self._decode(row)

    def _is_whole(self, record: Record, seen: set[str]) -> bool:
        snapshots, content = self.catalog.snapshots, self.catalog.content
        names = [*record.chains, *(layer.blob for layer in record.layers)]
        try:
            for chain in record.chains:
                if chain not in seen:
                    snapshots.layer(chain)
        except LayerNotFound:
            return False
        if not all(layer.blob in seen or content.has(Digest(layer.blob)) for layer in record.layers):
            return False
        seen.update(names)
        return True

    def _used(self, key: Key, now: int) -> None:
        """The record and everything below it: else what it was made from would seem forgotten."""
        waiting, uses = [key], self._unwritten.uses
        while waiting:
            one = waiting.pop()
            record = self.peek(one)
            if record is not None:
                use = uses.setdefault(one, _Use())
                use.count, use.last = use.count + (one == key), now
                # What was used just now has told those below it: builds find their steps from the bottom up.
                waiting += [below for below in record.inputs if below not in uses or now - uses[below].last > _JUST_NOW]

    def keep(self, key: Key, entry: Entry, created: int = 0) -> Record:
        """Take a result in: found from now on, durable with the next `settle`. The caller's lease holds its layers and blobs.

        `created`: when it was made, where that was not now. Where there is a record of the key it is replaced: its layers were
        lost, or somebody wanted it made anew.
        """
        now = time.time_ns()
        with self.catalog.lock:
            old = self.peek(key)
            sizes = [self._size(chain) for chain in _own(entry)]
            members = {name: getattr(entry, name) for name in Entry.__struct_fields__}
            record = Record(**members, created=created or now, used=now, size=sum(sizes))
            self._holdings.add(record.needs)
            self._unwritten.made[key] = record
            if old is not None:
                self._holdings.drop(old.needs)
                self.catalog.collect(old.needs)
            return record

    def _size(self, chain: ChainId) -> int:
        return self.catalog.snapshots.layer(chain).size

    def settle(self) -> None:
        """Write what was kept and used since the last time: all of it or nothing. Waits for the disk. Raises System, OSError.

        Called at the end of each build, whatever became of it. After an error nothing is lost but a crash would lose it.
        """
        with self.catalog.lock:
            made = frozenset(self._unwritten.made)
        if made:
            # Before the records that name them: after a power cut a record must not stand for a layer cut short.
            self.catalog.content.sync()
            self.catalog.snapshots.sync()
        with self.catalog.lock:
            changes = self._changes(made)
            if not changes:
                return
            crash_point("build-before-commit")
            written = self._store.commit(changes)
            if made:
                written.result()  # when something was last used may be forgotten, what was made may not
            for change in changes:
                self._unwritten.made.pop(Key(change.key), None)
                self._unwritten.uses.pop(Key(change.key), None)
        crash_point("build-after-commit")

    def _changes(self, made: frozenset[Key]) -> list[Put]:
        """`made`: what is durable but for its record. What another build kept since waits for its own end."""
        unwritten = self._unwritten
        changes: list[Put] = []
        for key in made | (unwritten.uses.keys() - unwritten.made.keys()):
            record = self.peek(key)
            if record is None:
                continue  # dropped meanwhile
            use = unwritten.uses.get(key)
            changes.append(Put(TABLE, key, _encode(record if use is None else use.told(record))))
        return changes

    def pin(self, keys: Iterable[Key]) -> None:
        """These are in use by a build under way, and not pruned until `unpin`."""
        with self.catalog.lock:
            for key in keys:
                self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, keys: Iterable[Key]) -> None:
        """The build ended."""
        with self.catalog.lock:
            for key in keys:
                left = self._pins.pop(key, 0) - 1
                if left > 0:
                    self._pins[key] = left

    def in_use(self, key: Key) -> bool:
        """Whether a build under way pins it."""
        return key in self._pins

    def is_shared(self, record: Record) -> bool:
        """Whether an image has a layer that is the record's own work: pruning the record gives no room then."""
        return any(self.catalog.ledger.users(chain) for chain in _own(record))

    def records(self) -> dict[Key, Record]:
        """All of them, those not yet written, too, in the order in which they came."""
        with self.catalog.lock:
            found = {Key(key): self._decode(row) for key, row in self._rows.items()}
            found.update(self._unwritten.made)
            for key, use in self._unwritten.uses.items():
                if key in found:
                    found[key] = use.told(found[key])
            return found

    def drop(self, keys: Iterable[Key]) -> Dropped:
        """Forget records, and delete what only they needed. Pinned ones stay. Waits for the disk. Raises System."""
        with self.catalog.lock:
            going = {key: record for key in keys if key not in self._pins and (record := self.peek(key)) is not None}
            if not going:
                return Dropped((), 0)
            self._store.commit([Delete(TABLE, key) for key in going]).result()
            crash_point("build-after-removal")
            needs: set[str] = set()
            for key, record in going.items():
                self._unwritten.made.pop(key, None)
                self._unwritten.uses.pop(key, None)
                self._holdings.drop(record.needs)
                needs |= record.needs
            return Dropped(tuple(going), self.catalog.collect(needs).freed)


def _own(entry: Entry) -> tuple[ChainId, ...]:
    return entry.chains[len(entry.layers) - entry.own :]
