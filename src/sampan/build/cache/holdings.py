"""What the cache keeps alive: layers and blobs of its records, counted. All of the cache that a daemon needs from its start."""

from collections import Counter
from collections.abc import Iterable, Mapping

TABLE = "build-cache"
"""Of the records, by their keys."""


class Holdings:
    """How many records need each layer and blob. Whoever changes it holds the catalog's lock."""

    def __init__(self, rows: Mapping[str, bytes]) -> None:
        """`rows`: the table of the records."""
        self._held: Counter[str] = Counter()
        if rows:
            # Here and not above: a daemon that never built anything does without.
            import msgspec

            from sampan.build.cache.records import Record

            decode = msgspec.json.Decoder(Record).decode
            for row in rows.values():
                self._held.update(decode(row).needs)

    def holds(self, name: str) -> bool:
        """Whether a record needs it."""
        return name in self._held

    def add(self, names: Iterable[str]) -> None:
        """One more record needs these."""
        self._held.update(names)

    def drop(self, names: Iterable[str]) -> None:
        """One less."""
        self._held.subtract(names)
        self._held = +self._held
