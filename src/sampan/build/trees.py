"""The file trees of one build: layers that have names, and drafts on top of them which are named at the end.

    image, cache ─▶ Tree(layers)          write(tree) ─▶ Draft ─ written to ─▶ seal ─▶ Tree(draft on tree)
                                                                                 └─ meanwhile: tar, digest, in a thread
    name(tree): the lowest first, every draft becomes a layer under its chain id

On the image `host` overlayfs takes one draft and no layer (docs/design.md): the steps of such a stage write to the same one.
"""

import asyncio
import os
from collections.abc import Sequence

from sampan.build.threads import Threads
from sampan.build.tree.source import DirectoryTree, Origin, SourceTree
from sampan.errors import NotImplementedHere, System
from sampan.images import host
from sampan.images.catalog import LayerRecord
from sampan.images.making import Making
from sampan.snapshots.protocol import Draft, Snapshotter, chain_id
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.rootfs import RootMount


class Tree:
    """What a vertex leaves. `layers` are the named ones at the bottom, of which `base` is the stack's name."""

    def __init__(
        self,
        base: ChainId | None = None,
        layers: tuple[LayerRecord, ...] = (),
        draft: Draft | None = None,
        below: "Tree | None" = None,
        source: SourceTree | None = None,
    ) -> None:
        self.base = base
        self.layers = layers
        self.draft = draft
        self.below = below
        self.source = source
        """where the tree is no stack: files of the context, a checkout"""
        self.packed: asyncio.Task[LayerRecord | None] | None = None
        """its draft's tar; of a draft that goes on being written to there is none"""
        self.named: ChainId | None = None
        """what the whole stack is called, once the draft has its place"""
        self.stack: tuple[LayerRecord, ...] = layers
        """all of its layers, once they are known"""

    @property
    def on_host(self) -> bool:
        """Whether this machine's own root is at the bottom."""
        return self.base == host.CHAIN

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it: `FROM scratch`."""
        return self.base is None and self.draft is None and self.source is None


class Trees:
    """Makes and keeps the trees of one build. On the event loop; what blocks is done by `threads`."""

    def __init__(self, snapshots: Snapshotter, making: Making, threads: Threads, clock: int | None) -> None:
        self._drafts = snapshots.drafts
        self._making = making
        self._threads = threads
        self._clock = clock
        self._begun: set[Draft] = set()
        self._views: dict[Tree, asyncio.Task[int]] = {}
        self._packing: set[asyncio.Task[LayerRecord | None]] = set()

    def of_image(self, image: ImageId) -> Tree:
        """The tree of an image. Raises NoSuchImage."""
        held = self._making.hold(image)
        return Tree(held.chain, held.layers)

    def of_layers(self, layers: tuple[LayerRecord, ...]) -> Tree:
        """The tree of layers that the cache has."""
        return Tree(stacked(layers), layers)

    async def write(self, below: Tree, *, alone: bool) -> Draft:
        """A draft on top of a tree, to be written to. `alone`: nobody else uses the tree. Raises SampanError, OSError."""
        if below.on_host and below.draft is not None:
            if not alone:
                raise NotImplementedHere(
                    "not implemented by Sampan yet: a stage on the image host from which more than one step goes on"
                )
            return below.draft
        draft = await self._threads.run(lambda: self._drafts.begin(below.base, below.draft))
        self._begun.add(draft)
        return draft

    def root(self, draft: Draft) -> RootMount:
        """What a program's root is mounted from."""
        return self._drafts.root(draft)

    async def opened(self, draft: Draft, *, bare: bool = False) -> int:
        """A descriptor of the draft's root, to be written to. The caller closes it before the draft is sealed.

        `bare`: as if nothing were below it (`--link`), where the driver can.
        """
        return await self._threads.run(lambda: _readable(self._drafts.opened(draft, bare=bare)))

    async def mounted(self, draft: Draft) -> int:
        """The same as something that can be bound, as long as it is open."""
        return await self._threads.run(lambda: self._drafts.opened(draft))

    async def source(self, tree: Tree, label: str) -> SourceTree:
        """The tree as COPY takes files from it."""
        if tree.source is not None:
            return tree.source
        return DirectoryTree(await self.view(tree), label, Origin.STAGE)

    async def seal(self, draft: Draft, below: Tree, mounted: Sequence[str] | None = None) -> Tree:
        """Nothing more is written by this step; the tar is made from here on. `mounted` as in `Drafts.seal`. Raises OSError."""
        tree = Tree(below.base, below.layers, draft, below)
        if not below.on_host:
            await self._threads.run(lambda: self._drafts.seal(draft, self._clock, mounted))
            tree.packed = asyncio.get_running_loop().create_task(self._pack(draft))
            self._packing.add(tree.packed)
        return tree

    async def _pack(self, draft: Draft) -> LayerRecord | None:
        return await self._threads.run(lambda: self._making.keep(self._drafts.tar(draft)))

    async def view(self, tree: Tree) -> int:
        """A descriptor of the tree's root, to be read, good until the build ends. Raises SampanError, OSError."""
        if tree.source is not None:
            return await self._threads.run(tree.source.directory)
        if tree not in self._views:
            self._views[tree] = asyncio.get_running_loop().create_task(self._threads.run(lambda: self._opened(tree)))
        return await asyncio.shield(self._views[tree])

    def _opened(self, tree: Tree) -> int:
        if tree.on_host and tree.draft is not None:
            return self._drafts.opened(tree.draft)
        return self._drafts.view(tree.base, tree.draft)

    async def name(self, tree: Tree) -> tuple[LayerRecord, ...]:
        """Give every draft of a tree its place; all layers of the stack, the lowest first.

        Called when nothing of the build runs any more. Raises what the packing raised, SampanError.
        """
        if self._packing:
            # A tar of vfs is made by comparing with the draft below, as long as that lies where it does.
            await asyncio.wait(self._packing)
        waiting = [tree]
        while (below := waiting[-1].below) is not None and waiting[-1].packed is not None:
            waiting.append(below)
        for one in reversed(waiting):
            await self._name(one)
        return tree.stack

    async def _name(self, tree: Tree) -> None:
        if tree.draft is None or tree.below is None or tree.packed is None:
            tree.named = tree.base
        elif tree.draft in self._begun:
            layer = await tree.packed
            below, draft = tree.below, tree.draft
            tree.named = below.named
            if layer is not None:
                tree.named = await self._threads.run(lambda: self._making.place(below.named, draft, layer))
                self._begun.discard(draft)
            tree.stack = below.stack if layer is None else (*below.stack, layer)

    def discard(self, draft: Draft) -> None:
        """Throw a draft away that makes no tree."""
        self._begun.discard(draft)
        self._drafts.discard(draft)

    async def close(self) -> None:
        """Let go of everything that has no name. Nothing runs on it any more."""
        await asyncio.gather(*self._packing, *self._views.values(), return_exceptions=True)
        for task in self._views.values():
            if not task.cancelled() and task.exception() is None:
                os.close(task.result())
        for draft in self._begun:
            try:
                self._drafts.discard(draft)
            except OSError as error:
                raise System(f"what is left of a build cannot be removed: {error}") from error


def _readable(mount: int) -> int:
    """A descriptor that can be read and keeps the mount, in the place of the mount's own."""
    try:
        return os.open(b".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=mount)
    finally:
        os.close(mount)


def stacked(layers: tuple[LayerRecord, ...]) -> ChainId | None:
    """The name of a stack of layers; None for none."""
    chain: ChainId | None = None
    for layer in layers:
        chain = chain_id(chain, DiffId(layer.diff_id))
    return chain
