"""What the solver needs of others: who hears of it, who runs programs, who keeps results. Implemented in build.cache and daemon."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from sampan.build.keys import Key, Parts
from sampan.build.operations import Graph, Place, Run
from sampan.build.request import RunSettings
from sampan.images.catalog import LayerRecord
from sampan.spec.rootfs import RootMount


class Progress(Protocol):
    """Hears what becomes of each vertex. Called on the event loop; must not block, and drops nothing that it is told."""

    def planned(self, graph: Graph) -> None:
        """What is going to be done: called once, before anything of the graph is."""
        ...

    def started(self, place: Place) -> None:
        """A vertex is worked at; one that is cached is not started."""
        ...

    def log(self, place: Place, stream: int, data: bytes) -> None:
        """What its program said: 1 standard output, 2 standard error. Pieces, not lines."""
        ...

    def status(self, place: Place, text: str, identity: str, current: int, total: int) -> None:
        """How far something within the vertex is: a layer of a pull, a download. `total` 0: not known."""
        ...

    def completed(self, place: Place, *, cached: bool, why: str) -> None:
        """Its tree is there. `why` says what made it run although it had run before; "" where nothing is known."""
        ...

    def failed(self, place: Place, error: str) -> None:
        """It went wrong; the build ends with the same error."""
        ...


class Kept(Protocol):
    """What the cache has of a vertex: the whole stack of its tree's layers, the lowest first, and when it was made."""

    @property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The stack."""
        ...

    @property
    def created(self) -> int:
        """Nanoseconds since the epoch."""
        ...


class Cache(Protocol):
    """Results by key, for one build (`build.cache.session`). Calls may block for a moment."""

    def planned(
        self,
        graph: Graph,
        keys: Sequence[Key | None],
        contents: Mapping[Place, str],
        listing: Callable[[Place], Mapping[str, str]],
    ) -> None:
        """What is going to be built, before anything is looked for. `listing`: digests of files, to name what changed."""
        ...

    def find(self, key: Key) -> Kept | None:
        """What is kept under the key, held until the build ends; None where nothing is, or something of it was lost."""
        ...

    def offered(self, key: Key) -> Kept | None:
        """What a cache of another machine has under the key: its layers are not here before `bring` is done."""
        ...

    async def bring(self, key: Key) -> Kept | None:
        """Have what was offered here, held until the build ends; None where it cannot be had."""
        ...

    def inline(self, diff_ids: Sequence[str]) -> str | None:
        """What the image of these layers is to say of its own steps; None for nothing."""
        ...

    def keep(self, key: Key, layers: Sequence[LayerRecord], own: int) -> Kept:
        """Keep a result: the stack, whose topmost `own` layers are new. All of it is held by the caller's lease."""
        ...

    def explain(self, parts: Parts) -> str:
        """Why nothing is kept for a step although it has run before: what differs, by name; "" for one that never ran."""
        ...


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """One mount of a RUN, its source found.

    `source`: a path on the host; `tree`: or a descriptor of a detached mount or directory, in which `below` is what is bound.
    """

    target: str
    source: str = ""
    tree: int = -1
    below: str = ""
    read_only: bool = True


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A RUN's tmpfs. `size` in bytes, 0 for no limit."""

    target: str
    size: int = 0


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A file in memory, which no layer gets."""

    target: str
    content: bytes
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """A way to an agent that listens at `source`, on the host."""

    target: str
    source: str
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


Mounted = Bound | Memory | Secret | Socket


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One RUN: the operation, its root, what is mounted in it, and variables that are in no key (proxies, sockets)."""

    run: Run
    root: RootMount
    mounts: Sequence[Mounted] = ()
    more_environment: tuple[str, ...] = ()
    once: bool = True
    """The root is mounted for this program and never again to be written to: overlay may skip its syncs."""
    settings: RunSettings = RunSettings()


class Listener(Protocol):
    """Hears what becomes of one program."""

    def running(self, container: str) -> None:
        """It is about to run, under this id."""
        ...

    async def said(self, stream: int, data: bytes) -> None:
        """It wrote this: 1 standard output, 2 standard error. No more is taken of it until this returns."""
        ...


class Programs(Protocol):
    """Runs programs as containers are run."""

    async def run(self, order: Order, listener: Listener) -> int:
        """The exit code, when every process has ended and the root is let go of. Cancelled: it is killed, and has ended as well.

        Raises SampanError where it could not be started.
        """
        ...
