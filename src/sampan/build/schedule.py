"""Which vertices are made, and when: what is kept is not, and the rest as soon as its inputs are there."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence

from sampan.build.keys import Key, keys, parts
from sampan.build.needs import Cache, Kept, Progress
from sampan.build.operations import Graph, Place
from sampan.build.request import BuildRequest
from sampan.build.sources import Sources
from sampan.build.trees import Tree, Trees
from sampan.build.vertices import Vertices
from sampan.errors import SampanError
from sampan.images.catalog import LayerRecord


class Schedule:
    """The run of one build. On the event loop."""

    def __init__(
        self,
        graph: Graph,
        request: BuildRequest,
        sources: Sources,
        vertices: Vertices,
        trees: Trees,
        cache: Cache,
        progress: Progress,
    ) -> None:
        self._graph = graph
        self._request = request
        self._sources = sources
        self._vertices = vertices
        self._trees = trees
        self._cache = cache
        self._progress = progress
        self._contents: dict[Place, str] = {}
        self._keys: list[Key | None] = []
        self._kept: dict[Place, Kept] = {}
        self._offered: dict[Place, Key] = {}
        """what of that lies elsewhere"""
        self._tasks: dict[Place, asyncio.Task[Tree]] = {}
        self._made: dict[Place, Tree] = {}
        self._times: dict[Place, int] = {}
        self._told: set[Place] = set()
        self._room = asyncio.Semaphore(os.cpu_count() or 1)

    async def run(self) -> list[Tree]:
        """The trees that the targets' images are of. Raises SampanError, OSError: the first that went wrong."""
        sources = list(self._graph.sources)
        found = await asyncio.gather(*map(self._sources.content, sources))
        self._contents = dict(zip(sources, found, strict=True))
        self._keys = keys(self._graph, self._contents, self._request.clock)
        self._vertices.know(self._keys)
        self._cache.planned(self._graph, self._keys, self._contents, self._sources.listing)
        self._find()
        return await asyncio.gather(*(self._result(target.result) for target in self._graph.targets))

    async def _result(self, result: Place) -> Tree:
        (below,) = self._graph.vertices[result].inputs
        # The task may be another target's, too.
        tree = await asyncio.shield(self._need(below))
        self._progress.completed(result, cached=result in self._kept, why="")
        return tree

    def _find(self) -> None:
        """What is kept, from the bottom up: a step counts only where all is kept that it stands on."""
        for number, vertex in enumerate(self._graph.vertices):
            place, key = Place(number), self._keys[number]
            if key is None or not vertex.inputs or self._is_unwanted(vertex.stage):
                continue
            below = vertex.inputs[0]
            if below in self._kept or not self._graph.vertices[below].inputs:
                kept = self._cache.find(key)
                if kept is None:
                    kept = self._cache.offered(key)
                    if kept is not None:
                        self._offered[place] = key
                if kept is not None:
                    self._kept[place] = kept

    def _is_unwanted(self, stage: str) -> bool:
        return self._request.no_cache or stage in self._request.no_cache_filter

    def _need(self, place: Place) -> asyncio.Task[Tree]:
        if place not in self._tasks:
            self._tasks[place] = asyncio.get_running_loop().create_task(self._solve(place))
        return self._tasks[place]

    async def _solve(self, place: Place) -> Tree:
        vertex = self._graph.vertices[place]
        if place in self._offered:
            await self._bring(place)
        if place in self._kept:
            self._tell_kept(place)
            return self._trees.of_layers(self._kept[place].layers)
        waiting = [self._need(below) for below in vertex.inputs]
        await asyncio.gather(*waiting)
        told = place not in self._told
        try:
            async with self._room:
                if told:
                    self._progress.started(place)
                began = time.time_ns()
                tree = await self._vertices.make(place, [task.result() for task in waiting])
        except (SampanError, OSError) as error:
            self._progress.failed(place, str(error))
            raise
        self._made[place] = tree
        self._times[place] = began
        if told:
            self._progress.completed(place, cached=False, why=self._why(place))
        return tree

    async def _bring(self, place: Place) -> None:
        """Have what lies elsewhere here; where that cannot be had, it is made as if nobody had offered it."""
        self._progress.started(place)
        brought = await self._cache.bring(self._offered.pop(place))
        if brought is None:
            del self._kept[place]
        else:
            self._kept[place] = brought

    def _tell_kept(self, place: Place) -> None:
        """It and everything below it that is not looked at is as it was."""
        waiting, found = [place], []
        while waiting:
            one = waiting.pop()
            if one not in self._told and (one == place or one not in self._tasks):
                self._told.add(one)
                found.append(one)
                waiting += self._graph.vertices[one].inputs
        for one in sorted(found):
            self._progress.completed(one, cached=True, why="")

    def _why(self, place: Place) -> str:
        vertex, key = self._graph.vertices[place], self._keys[place]
        if key is None or not vertex.inputs or self._is_unwanted(vertex.stage):
            return ""
        below = [one for one in (self._keys[place] for place in vertex.inputs) if one is not None]
        return self._cache.explain(parts(vertex.operation, below, self._contents.get(place, ""), self._request.clock))

    async def end(self) -> None:
        """Stop what still runs, and have what was made kept. Raises SampanError, OSError."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for place in sorted(self._made):
            vertex, tree, key = self._graph.vertices[place], self._made[place], self._keys[place]
            if not vertex.inputs or tree.on_host:
                continue
            layers = await self._trees.name(tree)
            if key is not None:
                own = len(layers) - self.depth(vertex.inputs[0])
                self._kept[place] = self._cache.keep(key, layers, own)

    @property
    def contents(self) -> Mapping[Place, str]:
        """What was found in the sources: digests."""
        return self._contents

    def created(self, place: Place) -> int:
        """When a vertex's tree was made, in nanoseconds since the epoch."""
        kept = self._kept.get(place)
        return kept.created if kept is not None else self._times.get(place, 0)

    def depth(self, place: Place) -> int:
        """How many layers the tree of a vertex has that was made, or found kept."""
        kept = self._kept.get(place)
        return len(kept.layers if kept is not None else self._made[place].stack)

    def image_created(self, result: Place, layers: Sequence[LayerRecord]) -> int:
        """When the image was first made just like this: now, unless the cache knows better."""
        key = self._keys[result]
        if key is None:
            return time.time_ns()
        if result not in self._kept:
            self._kept[result] = self._cache.keep(key, layers, 0)
        return self._kept[result].created
