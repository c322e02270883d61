"""Cache mounts (`RUN --mount=type=cache`): directories that outlive a step and are in no layer.

    build/mounts/NAME-0/      NAME is a digest of what makes two mounts the same cache: id, what they begin with, mode, owner
    build/mounts/NAME-1/      a second one, where two steps want it each for itself (`sharing=private`)
    build/mounts/.new-…       one that is being made; thrown away at the next start

    shared   all steps at once in the same directory
    private  each step in one that nobody else has
    locked   one step after the other in the same directory

A record for each stands in the state before its directory does. All calls on one event loop, but for those that say otherwise.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from sampan.errors import Conflict, NotFound
from sampan.files.atomic import make_directory
from sampan.files.measure import measure
from sampan.files.tar_writer import END
from sampan.files.trash import Trash
from sampan.files.walk import walk
from sampan.snapshots.difference import tar_entry
from sampan.snapshots.jail import unpack
from sampan.state.store import Delete, Put, Store

TABLE = "build-mounts"
_NEW = ".new-"
_NAME = 25
_LIMIT = 64 << 30
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

Fill = Callable[[int], Awaitable[None]]
"""Fills the directory that a descriptor is of."""


class MountWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a step asks for. `identity`: its id, or the target where it has none. `seed` names the tree that it begins with.

    Two wishes mean one cache where all but `sharing` is the same, as in BuildKit.
    """

    identity: str
    sharing: str = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    seed: str = ""

    @property
    def name(self) -> str:
        """What is common to its directories."""
        said = [self.identity, self.seed, self.mode, self.uid, self.gid]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:_NAME]


class MountRecord(msgspec.Struct, frozen=True):
    """One directory. Times in nanoseconds since the epoch."""

    identity: str
    created: int
    used: int
    uses: int = 0


@dataclass(slots=True)
class _Held:
    """Who has a directory: so many, and whether more may come."""

    count: int
    shared: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """A directory that a step has until it gives it back: `path` on the host."""

    name: str
    path: Path


class CacheMounts:
    """The directories of one daemon."""

    def __init__(self, store: Store, root: Path) -> None:
        """`root` is made where it is missing; what has no record in it is thrown away."""
        self._store = store
        self._rows = store.table(TABLE)
        self._decode = msgspec.json.Decoder(MountRecord).decode
        make_directory(root)
        self._root = make_directory(root / "mounts")
        self._trash = Trash(root / "trash")
        self._held: dict[str, _Held] = {}
        self._making: dict[str, asyncio.Lock] = {}
        self._freed = asyncio.Event()
        self._sizes: dict[str, tuple[int, int]] = {}
        for name in os.listdir(self._root):
            if name not in self._rows:
                self._trash.take(self._root / name)

    async def take(self, wish: MountWish, fill: Fill | None = None) -> Taken:
        """A directory for the wish; waits for it where it is locked. `fill` gives a fresh one its content.

        Raises what `fill` raises, OSError; nothing is taken then. Cancelled while it waits: nothing is taken.
        """
        while (name := self._choose(wish)) is None:
            self._freed.clear()
            await self._freed.wait()
        held = self._held.setdefault(name, _Held(0, wish.sharing == "shared"))
        held.count += 1
        try:
            lock = self._making.setdefault(name, asyncio.Lock())
            async with lock:
                await self._ready(name, wish, fill)
        except BaseException:
            self._let_go(name)
            raise
        return Taken(name, self._root / name)

    def _choose(self, wish: MountWish) -> str | None:
        """The first directory of the wish that may be taken now; None: wait."""
        for number in range(len(self._held) + 1):
            name = f"{wish.name}-{number}"
            held = self._held.get(name)
            if held is None or (held.shared and wish.sharing == "shared"):
                return name
            if wish.sharing == "locked" or (wish.sharing == "shared" and not held.shared):
                return None
        return None

    async def _ready(self, name: str, wish: MountWish, fill: Fill | None) -> None:
        now = time.time_ns()
        row = self._rows.get(name)
        record = self._decode(row) if row is not None else MountRecord(wish.identity, now, now)
        record = msgspec.structs.replace(record, used=now, uses=record.uses + 1)
        written = self._store.commit([Put(TABLE, name, msgspec.json.encode(record))])
        if (self._root / name).is_dir():
            return
        await asyncio.wrap_future(written)
        made, descriptor = self._new(wish)
        try:
            if fill is not None:
                await fill(descriptor)
            made.rename(self._root / name)
        except BaseException:
            self._trash.take(made)
            raise
        finally:
            os.close(descriptor)

    def _new(self, wish: MountWish) -> tuple[Path, int]:
        """A fresh directory of the wished owner and mode, and a descriptor of it."""
        made = self._root / f"{_NEW}{os.urandom(6).hex()}"
        made.mkdir(0o700)
        descriptor = os.open(made, _DIRECTORY)
        os.fchown(descriptor, wish.uid, wish.gid)
        os.fchmod(descriptor, wish.mode & 0o7777)
        return made, descriptor

    def hold(self, name: str) -> Taken:
        """Keep a directory from being dropped or replaced while it is read; until it is given back. Raises NotFound."""
        if name not in self._rows:
            raise NotFound(f"no cache mount is called {name}")
        self._held.setdefault(name, _Held(0, shared=True)).count += 1
        return Taken(name, self._root / name)

    def give(self, taken: Taken) -> None:
        """The step has ended."""
        self._sizes.pop(taken.name, None)
        self._let_go(taken.name)

    def _let_go(self, name: str) -> None:
        held = self._held[name]
        held.count -= 1
        if not held.count:
            del self._held[name]
            self._making.pop(name, None)
        self._freed.set()

    def records(self) -> dict[str, MountRecord]:
        """All directories that have a record. From any thread."""
        return {name: self._decode(row) for name, row in list(self._rows.items())}

    def in_use(self, name: str) -> bool:
        """Whether a step has it. From any thread."""
        return name in self._held

    def size(self, name: str) -> int:
        """Bytes of its files; walked again only after a step had it. From worker threads."""
        row = self._rows.get(name)
        used = self._decode(row).used if row is not None else 0
        known = self._sizes.get(name)
        if known is not None and known[0] == used:
            return known[1]
        try:
            descriptor = os.open(self._root / name, _DIRECTORY)
        except FileNotFoundError:
            return 0
        try:
            size = measure(descriptor)[0]
        finally:
            os.close(descriptor)
        if name not in self._held:
            self._sizes[name] = (used, size)
        return size

    async def drop(self, name: str) -> bool:
        """Delete it, and wait until that is durable; False where a step has it, or it is not there. Raises System, OSError."""
        if name in self._held or name not in self._rows:
            return False
        self._trash.take(self._root / name)
        self._sizes.pop(name, None)
        await asyncio.wrap_future(self._store.commit([Delete(TABLE, name)]))
        return True

    def find(self, identity: str) -> str:
        """The first directory of that id, or of that name. From any thread. Raises NotFound."""
        for name, record in self.records().items():
            if name == identity or (record.identity == identity and name.endswith("-0")):
                return name
        raise NotFound(f"no cache mount has the id {identity!r}; `sampan builder df -v` lists them")

    def pack(self, name: str) -> Iterator[bytes]:
        """Its files as a tar, in pieces. From a worker thread. Raises NotFound, OSError."""
        try:
            descriptor = os.open(self._root / name, _DIRECTORY)
        except FileNotFoundError:
            raise NotFound(f"no cache mount is called {name}") from None
        return _packed(descriptor)

    def unpack(self, wish: MountWish, stream: BinaryIO) -> Path:
        """A directory for `place`, made of a tar. In a worker thread. Raises BadArchive, OSError; then nothing is left."""
        made, descriptor = self._new(wish)
        try:
            unpack(stream, descriptor, "applied", _LIMIT)
        except BaseException:
            self._trash.take(made)
            raise
        finally:
            os.close(descriptor)
        return made

    async def place(self, wish: MountWish, made: Path) -> str:
        """Let what `unpack` gave be the wish's first directory, in the place of what is there; its name.

        Raises Conflict where a step has that; then `made` is thrown away.
        """
        name = f"{wish.name}-0"
        if name in self._held:
            self._trash.take(made)
            raise Conflict(f"the cache mount {wish.identity} is in use by a build: import it when that has ended")
        self._sizes.pop(name, None)
        self._trash.take(self._root / name)
        made.rename(self._root / name)
        now = time.time_ns()
        row = msgspec.json.encode(MountRecord(wish.identity, now, now))
        await asyncio.wrap_future(self._store.commit([Put(TABLE, name, row)]))
        return name

    def close(self) -> None:
        """End background work."""
        self._trash.close()


def _packed(descriptor: int) -> Iterator[bytes]:
    first_names: dict[tuple[int, int], bytes] = {}
    try:
        for path, parent, name, status in walk(descriptor):
            yield from tar_entry(path, parent, name, status, first_names)
        yield END
    finally:
        os.close(descriptor)
