"""A cache over layers in memory, and graphs whose steps are made by hand."""

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sampan.build.cache.holdings import TABLE, Holdings
from sampan.build.cache.misses import Known
from sampan.build.cache.session import Import, Session
from sampan.build.cache.store import BuildCache
from sampan.build.keys import Key, keys
from sampan.build.operations import Copy, Graph, Place, Run
from sampan.build.planning import Wish, plan
from sampan.content.store import Content
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage
from sampan.images.catalog import LayerRecord
from sampan.images.images import Images, Travel
from sampan.images.leases import Lease
from sampan.images.ledger import stacked
from sampan.registry.protocol import Repositories
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.oci_image import ImageConfig
from sampan.state.store import Store
from tests.archives import Layer
from tests.golden.rendering import MACHINES
from tests.unit.images.memory import MemorySnapshotter
from tests.unit.images.registry import MemoryRegistry

Then = Callable[[Session, tuple[LayerRecord, ...]], None]

DOCKERFILE = 'FROM a\nENV E=1\nRUN one\nCOPY src /app/\nRUN two\nCMD ["c"]'


class CacheWorld:
    """One daemon's state; `again` opens it anew, as after a start, with the layers that were there."""

    def __init__(
        self, directory: Path, registry: Repositories | None = None, snapshots: Snapshotter | None = None
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.memory = MemoryRegistry()
        self.registry = registry or self.memory
        self.snapshots = snapshots or MemorySnapshotter()
        self._open()

    def _open(self) -> None:
        self.store = Store(self.directory / "db")
        self.content = Content(self.directory / "content")
        self.holdings = Holdings(self.store.table(TABLE))
        travel = Travel(self.registry, second=0.0)
        self.images = Images(self.store, self.content, self.snapshots, travel=travel, keepers=[self.holdings])
        self.cache = BuildCache(self.images.catalog, self.store, self.holdings)

    def again(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self.images.close()
        self.snapshots.close()
        self.store.close()

    def layer(self, lease: Lease, below: tuple[LayerRecord, ...], name: str, size: int = 1000) -> LayerRecord:
        """One more layer, in both stores and held."""
        tar = layer_of(name, size)
        blob = self.content.put(tar, lease.take)
        chains = stacked(one.diff_id for one in below)
        made = self.snapshots.apply(chains[-1] if chains else None, io.BytesIO(tar))
        lease.take(made.chain)
        return LayerRecord(blob, made.diff_id, len(tar))


def layer_of(name: str, size: int) -> bytes:
    made = Layer()
    made.file(name, b"x" * size)
    return made.tar()


def graph_of(text: str = DOCKERFILE, env: str = "PATH=/bin") -> Graph:
    return plan(parse(text), Wish(MACHINES), {BaseImage("a"): ImageConfig(env=[env])})


def known(graph: Graph, content: Mapping[str, str] | None = None) -> Known:
    """`content`: by the kind of source, where it is not "1"."""
    contents = {}
    for place, vertex in graph.sources.items():
        kind = type(vertex.operation).__name__
        contents[place] = (content or {}).get(kind, "1")
    return Known(graph, keys(graph, contents), contents)


def steps(graph: Graph) -> list[Place]:
    """The vertices that make layers."""
    return [Place(n) for n, vertex in enumerate(graph.vertices) if isinstance(vertex.operation, Run | Copy)]


def built(
    world: CacheWorld, plan: Known, size: int = 1000, imports: Sequence[Import] = (), then: Then | None = None
) -> list[Key]:
    """Every step that is missing is made and kept; the keys of those that were. `then` sees the whole stack at the end."""
    made: list[Key] = []
    with Session(world.cache, imports) as session:
        session.planned(plan.graph, plan.keys, plan.contents, plan.listing)
        stack: tuple[LayerRecord, ...] = ()
        for place in steps(plan.graph):
            key = plan.keys[place]
            assert key is not None
            found = session.find(key)
            if found is None and session.offered(key) is not None:
                found = asyncio.run(session.bring(key))
            if found is None:
                layer = world.layer(session.lease, stack, f"{key[-8:]}", size)
                found = session.keep(key, (*stack, layer), 1)
                made.append(key)
            stack = found.layers
        if then is not None:
            then(session, stack)
    return made
