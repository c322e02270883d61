"""What operations under way hold, so that nobody collects it: blobs and layers, by name; in memory, for one daemon's life.

take a name ──▶ look whether it is there ──▶ use it ──▶ commit a record that needs it ──▶ release

The order matters: a removal decides and deletes under the same lock that `take` waits for. What is there after `take` stays;
what is not there was removed before, and has to be brought.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from sampan.spec.ids import ChainId, Digest


class Leases:
    """All leases of one daemon. `lock` is the one under which removals decide and delete."""

    def __init__(
        self,
        lock: AbstractContextManager[bool],
        has_blob: Callable[[Digest], bool],
        has_layer: Callable[[ChainId], bool],
    ) -> None:
        """The last two tell what is there."""
        self._lock = lock
        self._held: Counter[str] = Counter()
        self.has_blob = has_blob
        self.has_layer = has_layer

    def holds(self, name: str) -> bool:
        """Whether somebody holds the name. Asked under the lock."""
        return name in self._held

    def hold(self, name: str) -> None:
        """Count one more lease on it."""
        with self._lock:
            self._held[name] += 1

    def release(self, names: set[str]) -> None:
        """Count one less on each."""
        with self._lock:
            self._held.subtract(names)
            self._held = +self._held


class Lease:
    """What one operation holds (see `Catalog.lease`). For one thread at a time."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.names: set[str] = set()

    def take(self, name: str) -> None:
        """Hold a digest or a chain id, whether it is there or about to be."""
        if name not in self.names:
            self._leases.hold(name)
            self.names.add(name)

    def keep_blob(self, digest: Digest) -> bool:
        """Hold a blob, and say whether it is there: then it stays, and need not be brought."""
        self.take(digest)
        return self._leases.has_blob(digest)

    def keep_layer(self, chain: ChainId) -> bool:
        """The same for a layer. (The lowest layer and its plain tar have the same digest, but may be there one by one.)"""
        self.take(chain)
        return self._leases.has_layer(chain)
