"""Layers from wherever they lie into the stores: downloaded side by side, unpacked side by side, stacked in order.

layers ┬─▶ download ─▶ download ─▶ download   (`downloads.py`)
       └─▶   unpack ─▶   unpack ─▶   unpack   (`stacking.py`)
"""

from collections.abc import Sequence
from functools import partial

from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.downloads import Downloads, Watch
from sampan.images.leases import Lease
from sampan.images.ledger import stacked
from sampan.images.references import short_id
from sampan.images.stacking import Stack, Turns
from sampan.images.steps import Cancellation, Report, Step
from sampan.registry.protocol import Source
from sampan.snapshots.protocol import has_layer
from sampan.spec.ids import ChainId, DiffId, Digest, parse_digest
from sampan.spec.oci_image import Descriptor


class Bringing:
    """One for each daemon. Any thread may call; two that bring the same layer share its download and its unpacking."""

    def __init__(self, catalog: Catalog, downloads: Downloads) -> None:
        self._catalog = catalog
        self._content = catalog.content
        self._downloads = downloads
        self._turns = Turns()

    def bring(
        self,
        source: Source,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[DiffId],
        lease: Lease,
        report: Report,
        end: Cancellation,
    ) -> list[LayerRecord]:
        """Have all of them here, on each other, the lowest first. The blobs are held by `lease` before, the layers from now on.

        Raises what the source raises, InvalidParameter for what is no layer or another one, OSError; Cancelled.
        """
        chains = stacked(diff_ids)
        for chain in chains:
            lease.take(chain)
        present = self._present(layers, chains)
        watches: dict[Digest, Watch] = {}
        try:
            for layer in layers[:present]:
                report(Step("Already exists", short_id(layer.digest)))
            for layer in layers[present:]:
                digest = parse_digest(layer.digest)
                report(Step("Pulling fs layer", short_id(digest)))
                if digest not in watches:
                    watches[digest] = self._downloads.begin(source, layer, report)
            with Stack(self._catalog, self._turns, report, end) as stack:
                for number in range(present, len(layers)):
                    layer, parent = layers[number], chains[number - 1] if number else None
                    arrived = partial(self._downloads.wait, watches[parse_digest(layer.digest)])
                    stack.add(layer, parent, diff_ids[number], arrived)
                stack.finish()
        finally:
            for watch in watches.values():
                watch.release()
        return [
            LayerRecord(layer.digest, diff_id, self._content.size(parse_digest(layer.digest)))
            for layer, diff_id in zip(layers, diff_ids, strict=True)
        ]

    def _present(self, layers: Sequence[Descriptor], chains: Sequence[ChainId]) -> int:
        """How many of the lowest layers are here: unpacked, and packed as they are described."""
        for number, (layer, chain) in enumerate(zip(layers, chains, strict=True)):
            if not self._content.has(parse_digest(layer.digest)) or not has_layer(self._catalog.snapshots, chain):
                return number
        return len(layers)
