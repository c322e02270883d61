"""The cache as one build sees it: a lease over all that it found and made, imported caches behind the daemon's own.

with Session(cache) as session:
    session.planned(graph, keys, contents)
    session.find(key) … session.explain(…) … session.keep(…)      in any order, from any thread
                                                                   ── end ──▶ settled, also where the build failed
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Protocol, Self

import msgspec

from sampan.build.cache.configs import write_inline
from sampan.build.cache.misses import Known, Listing, Misses
from sampan.build.cache.records import Entry, Record
from sampan.build.cache.store import BuildCache
from sampan.build.keys import Key, Parts, key_of
from sampan.build.operations import Graph, Place
from sampan.images.catalog import LayerRecord
from sampan.images.leases import Lease
from sampan.images.steps import Cancellation, Cancelled


class Import(Protocol):
    """A cache from elsewhere (`--cache-from`)."""

    def offer(self, key: Key) -> Record | None:
        """What it has under the key, as far as its own list tells; None where it has nothing."""
        ...

    def fetch(self, key: Key, lease: Lease) -> Entry | None:
        """What it has under the key, its layers brought here and held by `lease`; None where it has nothing. Blocks."""
        ...


class Session:
    """One build's. A context manager; `lease` may be used by the build for what it makes."""

    def __init__(
        self,
        cache: BuildCache,
        imports: Sequence[Import] = (),
        end: Cancellation | None = None,
        *,
        inline: bool = False,
        only: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """`end` calls off what the imports do. `inline`: the image tells of its own steps.

        `only`: what is kept counts where its layers are a beginning of one of these (diff ids, the lowest first).
        """
        self._inline = inline
        self._only = only
        self._cache = cache
        self._imports = imports
        self._end = end or Cancellation()
        self._offers: dict[Key, Record] = {}
        self._stack = ExitStack()
        self._known: Known | None = None
        self._misses: Misses | None = None
        self._touched: set[Key] = set()
        self._seen: set[str] = set()
        """layers and blobs that are known to be here, and held"""
        self.lease: Lease

    def __enter__(self) -> Self:
        self.lease = self._stack.enter_context(self._cache.catalog.lease())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the disk. Raises System, OSError."""
        try:
            self._cache.settle()
        finally:
            self._cache.unpin(self._touched)
            self._stack.close()

    def records(self) -> dict[Key, Record]:
        """All that was found or kept, and what it was made from as far as that is here: what `--cache-to` sends of.

        Held by `lease` from now on; what was lost is left out.
        """
        found: dict[Key, Record] = {}
        waiting = sorted(self._touched)
        while waiting:
            key = waiting.pop()
            if key in found:
                continue
            record = self._cache.find(key, self.lease, self._seen)
            if record is not None:
                found[key] = record
                waiting += record.inputs
        return found

    def planned(
        self,
        graph: Graph,
        keys: Sequence[Key | None],
        contents: Mapping[Place, str],
        listing: Listing | None = None,
    ) -> None:
        """Tell what is going to be built; sources are kept, so that a later miss can name what of them changed."""
        self._known = Known(graph, keys, contents) if listing is None else Known(graph, keys, contents, listing)
        for place in graph.sources:
            key = keys[place]
            if key is not None and self._cache.peek(key) is None:
                self._keep(key, self._known.entry(place))

    def find(self, key: Key) -> Record | None:
        """The daemon's own result under the key, held until the build ends."""
        if self._only is not None and not self._is_of(self._cache.peek(key), self._only):
            return None
        record = self._cache.find(key, self.lease, self._seen)
        if record is not None:
            self._pin(key)
        return record

    def _is_of(self, record: Record | None, stacks: Sequence[Sequence[str]]) -> bool:
        own = [layer.diff_id for layer in record.layers] if record is not None else []
        return any(own == list(stack[: len(own)]) for stack in stacks)

    def offered(self, key: Key) -> Record | None:
        """What an imported cache has under the key. Its layers are not here: `bring` it before they are used."""
        found = next((found for other in self._imports if (found := other.offer(key)) is not None), None)
        if found is not None:
            self._offers[key] = found
        return found

    async def bring(self, key: Key) -> Record | None:
        """Have the layers of what was `offered` brought, and keep it; None where they cannot be had. On the event loop.

        Cancelled: what is under way is called off before this returns.
        """
        fetching = asyncio.get_running_loop().run_in_executor(None, self._fetch, key)
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            self._end.cancel()
            with suppress(Cancelled):
                await fetching
            raise

    def _fetch(self, key: Key) -> Record | None:
        for other in self._imports:
            brought = other.fetch(key, self.lease)
            if brought is not None:
                return self._keep_below(key, brought)
        return None

    def _keep_below(self, key: Key, brought: Entry) -> Record:
        """Keep it, and what else was offered that is a beginning of its layers: the steps that it stands on."""
        for other, offer in self._offers.items():
            count = len(offer.layers)
            if (
                other != key
                and count
                and [one.diff_id for one in offer.layers] == [one.diff_id for one in brought.layers[:count]]
            ):
                here = msgspec.structs.replace(offer, layers=brought.layers[:count])
                self._keep(other, self._described(other, here), offer.created)
        return self._keep(key, self._described(key, brought), self._offers[key].created if key in self._offers else 0)

    def _described(self, key: Key, brought: Entry) -> Entry:
        """What came from elsewhere, as this build knows it."""
        place = self._place(key)
        if self._known is None or place is None:
            return brought
        return msgspec.structs.replace(self._known.entry(place), layers=brought.layers, own=brought.own)

    def keep(self, key: Key, layers: Sequence[LayerRecord], own: int) -> Record:
        """Keep what was made under the key: the whole stack, the topmost `own` of it new. The lease holds all of it."""
        place = self._place(key)
        known = self._known
        made = known.entry(place) if known is not None and place is not None else Entry()
        return self._keep(key, msgspec.structs.replace(made, layers=tuple(layers), own=own))

    def inline(self, diff_ids: Sequence[str]) -> str | None:
        """What the image of these layers is to say of its own steps (`--cache-to type=inline`); None for nothing."""
        return (write_inline(self.records(), diff_ids) or None) if self._inline else None

    def explain(self, parts: Parts) -> str:
        """Why nothing is kept for a step of these parts although it has run before; "" for one that never ran."""
        place = self._place(key_of(parts))
        if self._known is None or place is None:
            return ""
        if self._misses is None:
            self._misses = Misses(self._cache)
        return self._misses.explain(self._known, place)

    def _place(self, key: Key) -> Place | None:
        keys = self._known.keys if self._known is not None else ()
        return next((Place(number) for number, one in enumerate(keys) if one == key), None)

    def _keep(self, key: Key, made: Entry, created: int = 0) -> Record:
        record = self._cache.keep(key, made, created)
        self._pin(key)
        return record

    def _pin(self, key: Key) -> None:
        if key not in self._touched:
            self._touched.add(key)
            self._cache.pin([key])
