"""What the cache keeps alive: layers and blobs of its records, counted. All of the cache that a daemon needs from its start."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sampan.images.catalog import LayerRecord
from sampan.state.records import decoded

if TYPE_CHECKING:
    from sampan.build.cache.records import Record

TABLE = "build-cache"
"""Of the records, by their keys."""


class Holdings:
    """How many records need each layer and blob. Whoever changes it holds the catalog's lock."""

    def __init__(self, rows: Mapping[str, bytes]) -> None:
        """`rows`: the table of the records."""
        self._rows = rows
        self._held: Counter[str] = Counter()
        for record in self._records():
            self._held.update(record.needs)

    def _records(self) -> "Iterator[Record]":
        if not self._rows:
            return
        # Here and not above: a daemon that never built anything does without.
        import msgspec

        from sampan.build.cache.records import Record

        decode = msgspec.json.Decoder(Record).decode
        for key, row in tuple(self._rows.items()):
            yield decoded(TABLE, key, row, decode)

    def stacks(self) -> Iterator[Sequence[LayerRecord]]:
        """The layers of each record that is written, the lowest first."""
        return (record.layers for record in self._records())

    def holds(self, name: str) -> bool:
        """Whether a record needs it."""
        return name in self._held

    def count(self, name: str) -> int:
        """How many records need it."""
        return self._held[name]

    def add(self, names: Iterable[str]) -> None:
        """One more record needs these."""
        self._held.update(names)

    def drop(self, names: Iterable[str]) -> None:
        """One less."""
        self._held.subtract(names)
        self._held = +self._held
