"""What each kind of vertex is: the digest of a source's content, and how the tree of any of them is made."""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sampan.build.keys import Key
from sampan.build.needs import Order, Programs, Progress
from sampan.build.operations import Copy, Graph, MakeDirectory, Place, Run, Vertex
from sampan.build.request import BuildRequest
from sampan.build.run_mounts import Mounts
from sampan.build.sources import Sources
from sampan.build.threads import Threads
from sampan.build.tree.copying import apply_copy
from sampan.build.tree.directory import make_directory
from sampan.build.tree.source import SourceMissing
from sampan.build.trees import Tree, Trees
from sampan.dockerfile.arguments import PROXIES, platform_text
from sampan.errors import NotFound, SampanError

_NANO = 1_000_000_000
_NOT_RUN = 255
"""The exit code of a container whose program the kernel does not know how to run."""
_LAST = 200
"""Bytes of what a program said last that are looked at."""


class CommandFailed(SampanError):
    """A RUN ended with another code than 0. The text is Docker's."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"The command '{command}' returned a non-zero code: {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a program's output goes; `running` hears its id, `room` is awaited before more is taken."""

    progress: Progress
    running: Callable[[Place, str], None]
    room: Callable[[], Awaitable[None]]


class Vertices:
    """The vertices of one build. On the event loop."""

    def __init__(
        self,
        graph: Graph,
        request: BuildRequest,
        sources: Sources,
        trees: Trees,
        mounts: Mounts,
        programs: Programs,
        threads: Threads,
        outlet: Outlet,
    ) -> None:
        self._graph = graph
        self._request = request
        self._sources = sources
        self._trees = trees
        self._mounts = mounts
        self._programs = programs
        self._threads = threads
        self._outlet = outlet
        self._keys: Sequence[Key | None] = ()
        self._consumers = Counter(place for vertex in graph.vertices for place in vertex.inputs)

    def know(self, keys: Sequence[Key | None]) -> None:
        """The keys of all vertices, before any is made."""
        self._keys = keys

    def vertex(self, place: Place) -> Vertex:
        """What is made there."""
        return self._graph.vertices[place]

    async def make(self, place: Place, inputs: Sequence[Tree]) -> Tree:
        """The tree of a vertex on those of its inputs. Raises SampanError, OSError."""
        operation = self._graph.vertices[place].operation
        match operation:
            case Run():
                return await self._run(place, operation, inputs)
            case Copy():
                return await self._copy(place, operation, inputs)
            case MakeDirectory():
                return await self._directory(place, operation, inputs[0])
            case _:
                tree = await self._sources.tree(place)
                assert tree is not None, "a vertex that makes no tree is not needed by any"
                return tree

    def _alone(self, place: Place) -> bool:
        """Whether the tree of input 0 is used by this vertex only."""
        return self._consumers[self._graph.vertices[place].inputs[0]] == 1

    async def _copy(self, place: Place, copy: Copy, inputs: Sequence[Tree]) -> Tree:
        vertex = self._graph.vertices[place]
        sources = [await self._trees.source(tree, vertex.stage) for tree in inputs[1:]]
        draft = await self._trees.write(inputs[0], alone=self._alone(place))
        names = await self._trees.view(inputs[0]) if copy.link and copy.chown and not inputs[0].is_empty else None
        target = await self._trees.opened(draft, bare=copy.link)
        try:
            await self._threads.run(lambda: apply_copy(copy, sources, target, names=names, epoch=self._epoch))
        except SourceMissing as error:
            raise NotFound(f"{vertex.text.split()[0].upper()} failed: {error}") from error
        finally:
            os.close(target)
        return await self._trees.seal(draft, inputs[0])

    async def _directory(self, place: Place, wanted: MakeDirectory, below: Tree) -> Tree:
        draft = await self._trees.write(below, alone=self._alone(place))
        target = await self._trees.opened(draft)
        try:
            made = await self._threads.run(lambda: make_directory(wanted, target, epoch=self._epoch))
        finally:
            os.close(target)
        if not made and draft is not below.draft:
            self._trees.discard(draft)
            return below
        return await self._trees.seal(draft, below)

    @property
    def _epoch(self) -> int | None:
        return None if self._request.clock is None else self._request.clock * _NANO

    async def _run(self, place: Place, run: Run, inputs: Sequence[Tree]) -> Tree:
        draft = await self._trees.write(inputs[0], alone=self._alone(place))
        # What has no key is like nothing else.
        names = [self._keys[below] or os.urandom(16).hex() for below in self._graph.vertices[place].inputs]
        async with self._mounts.of(run, inputs, names) as (mounted, variables):
            order = Order(
                run=run,
                root=self._trees.root(draft),
                mounts=mounted,
                more_environment=(*self._proxies(run), *variables),
                once=not inputs[0].on_host,
                settings=self._request.run,
            )
            listener = _Listener(self._outlet, place)
            code = await self._programs.run(order, listener)
            if code == _NOT_RUN and listener.is_foreign:
                await listener.said(2, _foreign(platform_text(self._request.wish.machines.build)))
        if code:
            raise CommandFailed(" ".join(run.arguments), code)
        return await self._trees.seal(draft, inputs[0], [mount.target for mount in mounted])

    def _proxies(self, run: Run) -> tuple[str, ...]:
        """The proxies that were given and that the program does not find already: they are in no key."""
        found = {entry.partition("=")[0] for entry in run.environment}
        given = self._request.wish.given
        return tuple(f"{name}={given[name]}" for name in PROXIES if name in given and name not in found)


def _foreign(machine: str) -> bytes:
    return (
        f"this machine is {machine}, and no emulator is registered for the program: run the step on this machine's platform "
        "(FROM --platform=$BUILDPLATFORM), or register one with binfmt_misc (apt-get install qemu-user-static)\n"
    ).encode()


class _Listener:
    """Implements `needs.Listener` for the program of one vertex."""

    def __init__(self, outlet: Outlet, place: Place) -> None:
        self._outlet = outlet
        self._place = place
        self._last = b""

    @property
    def is_foreign(self) -> bool:
        """Whether the last that was heard is that this machine cannot run the program."""
        return b"exec format error" in self._last

    def running(self, container: str) -> None:
        self._outlet.running(self._place, container)

    async def said(self, stream: int, data: bytes) -> None:
        self._last = (self._last + data)[-_LAST:]
        self._outlet.progress.log(self._place, stream, data)
        await self._outlet.room()
