"""A data root as builds leave it, without a build: records over real layers, and a cache mount, while no daemon runs."""

import asyncio
import io
from pathlib import Path

from sampan.build.cache.holdings import TABLE, Holdings
from sampan.build.cache.mounts import CacheMounts, MountWish
from sampan.build.cache.records import Entry, Kind
from sampan.build.cache.store import BuildCache
from sampan.build.keys import Key
from sampan.content.store import Content
from sampan.images.catalog import LayerRecord
from sampan.images.images import Images
from sampan.images.ledger import stacked
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.state.store import Store
from tests.archives import Layer

FIRST, SECOND, SOURCE = (Key(f"sha256:{digit * 64}") for digit in "123")
MOUNT = MountWish(identity="/root/.cache")


def leave(root: Path, size: int = 100_000) -> None:
    """Two steps of `size` bytes on each other, the files of a context, and a mount of 1,000 bytes."""
    store = Store(root / "sampan.db")
    content, snapshots = Content(root / "content"), OverlaySnapshotter(root)
    holdings = Holdings(store.table(TABLE))
    images = Images(store, content, snapshots, keepers=[holdings])
    cache = BuildCache(images.catalog, store, holdings)
    stack: tuple[LayerRecord, ...] = ()
    try:
        with images.catalog.lease() as lease:
            cache.keep(SOURCE, Entry(kind=Kind.LOCAL, text="COPY . /src"))
            for key, inputs in ((FIRST, (SOURCE,)), (SECOND, (FIRST,))):
                made = Layer()
                made.file(f"file-{key[-1]}", key[-1].encode() * size)
                tar = made.tar()
                blob = content.put(tar, lease.take)
                chains = stacked(layer.diff_id for layer in stack)
                layer = snapshots.apply(chains[-1] if chains else None, io.BytesIO(tar))
                lease.take(layer.chain)
                stack = (*stack, LayerRecord(blob, layer.diff_id, len(tar)))
                cache.keep(key, Entry(layers=stack, own=1, text=f"RUN step {key[-1]}", inputs=inputs))
            cache.settle()
        asyncio.run(_mount(store, root))
    finally:
        images.close()
        snapshots.close()
        store.close()


async def _mount(store: Store, root: Path) -> None:
    mounts = CacheMounts(store, root / "build")
    taken = await mounts.take(MOUNT)
    (taken.path / "file").write_bytes(b"m" * 1000)
    mounts.give(taken)
    mounts.close()
