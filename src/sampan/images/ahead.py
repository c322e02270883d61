"""The layers of an archive, unpacked while the rest of it still comes in, on all processors.

    member ─▶ content store ─▶ offer ─▶ unpack, in a thread ─┐
                │ follow: while it still comes in ──▲        ├─▶ layer(parent, …), the lowest first ─▶ in its place
    manifest, known only at the end ─▶ which blob is what ───┘

What turns out to be no layer, or is wanted by no image, is thrown away again.
"""

import os
from collections.abc import Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar, cast

from sampan.content.arriving import Arriving
from sampan.errors import NotFound, System
from sampan.files.compression import is_compressed
from sampan.files.tar_reader import BadArchive
from sampan.images.catalog import Catalog
from sampan.snapshots.protocol import Layer, LayerNotFound, Staged, chain_id
from sampan.spec.ids import ChainId, DiffId, Digest
from sampan.threads import Threads

T = TypeVar("T")

_AT_ONCE = 4
_MOST = 500
"""Blobs of one archive that are unpacked ahead. Each is a process: an archive of countless small ones must not be countless."""
_TELL_EVERY = 0.1
"""Seconds between two reports of progress."""
_MAGIC = slice(257, 262)


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """So much of the blob that holds a layer has been unpacked; bytes as they lie in the archive."""

    diff_id: DiffId
    current: int
    total: int


class _Counted:
    """A blob that is being read, and how far."""

    def __init__(self, stream: BinaryIO | Arriving) -> None:
        self._stream = stream
        self.current = 0

    def fileno(self) -> int:
        return self._stream.fileno()

    def tell(self) -> int:
        return self.current

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.current += len(data)
        return data


@dataclass(slots=True)
class _Job:
    """A blob that is being unpacked, or waits for its turn."""

    total: int
    source: _Counted | None = None
    result: "Future[Staged] | None" = None
    arriving: Arriving | None = None


class Ahead:
    """The unpacking of one archive's layers; a context manager, at whose end nothing of it is left that has no place.

    For one thread. Blobs that are offered are in the content store, verified, and held by a lease.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._content = catalog.content
        self._staging = catalog.snapshots.staging
        self._threads = min(_AT_ONCE, os.cpu_count() or 1)
        self._pool = Threads(self._threads, "unpack")
        self._jobs: dict[Digest, _Job] = {}
        self._followed: _Job | None = None
        self._abandoned: list[_Job] = []
        with catalog.lock:  # an image that goes in between has no record
            here = [layer for image in catalog.images() for layer in catalog.record(image).layers]
        unpacked = catalog.snapshots.layers()
        self._known = {layer.diff_id for layer in unpacked}.union(layer.blob for layer in here)
        self._tar_sizes = {layer.tar_size for layer in unpacked}
        self._blobs: dict[int, list[Digest]] = {}
        for layer in here:
            self._blobs.setdefault(layer.size, []).append(Digest(layer.blob))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for job in (*self._jobs.values(), *self._abandoned):
            done = job.result is not None and not job.result.cancelled() and job.result.exception() is None
            if done and self._staging is not None and job.result is not None:
                self._staging.discard(job.result.result())
        self._jobs.clear()

    def follow(self, size: int, expected: Digest | None, first: bytes, place: Path) -> Arriving | None:
        """Begin to unpack a blob of `size` bytes that only begins to come, if it looks like a layer that is not here yet.

        `offer` says how it is called, when all of it is there.
        """
        self._abandon()
        if self._staging is None or size <= len(first) or not _may_be_layer(first):
            return None
        if self._is_busy() or len(self._jobs) >= _MOST or self._is_known(size, expected, first):
            return None
        arriving = Arriving(place)
        job = _Job(size, _Counted(arriving), arriving=arriving)
        try:
            job.result = self._pool.submit(self._staging.unpack, cast("BinaryIO", job.source))
        except System:  # no thread: it is unpacked when all of it is here
            arriving.close()
            return None
        job.result.add_done_callback(lambda _: arriving.close())
        self._followed = job
        return arriving

    def _is_busy(self) -> bool:
        jobs = (*self._jobs.values(), *self._abandoned)
        return sum(1 for job in jobs if job.result is not None and not job.result.done()) >= self._threads

    def _is_known(self, size: int, expected: Digest | None, first: bytes) -> bool:
        """Whether a blob is most likely one that is here: by its name, or where it has none by its length and beginning."""
        if expected is not None:
            return expected in self._known
        for blob in self._blobs.get(size, ()):
            try:
                with self._content.open(blob) as stream:
                    if stream.read(len(first)) == first:
                        return True
            except NotFound:
                continue  # removed, or damaged: it comes just in time
        return size in self._tar_sizes and size not in self._blobs

    def offer(self, blob: Digest) -> None:
        """Begin to unpack the blob, if it looks like a layer that is not here yet, and is not being followed.

        Raises System where there is no thread for it.
        """
        if self._followed is not None and blob not in self._known and blob not in self._jobs:
            self._jobs[blob], self._followed = self._followed, None
            return
        self._abandon()
        if self._staging is None or blob in self._known or blob in self._jobs or len(self._jobs) >= _MOST:
            return
        with self._content.open(blob) as stream:
            first = stream.read(512)
        if _may_be_layer(first):
            job = _Job(self._content.size(blob))
            job.result = self._pool.submit(self._unpack, blob, job)
            self._jobs[blob] = job

    def _unpack(self, blob: Digest, job: _Job) -> Staged:
        assert self._staging is not None
        with self._content.open(blob) as stream:
            job.source = _Counted(stream)
            return self._staging.unpack(cast("BinaryIO", job.source))

    def _abandon(self) -> None:
        """What is followed is not needed after all."""
        if self._followed is not None:
            assert self._followed.arriving is not None
            self._followed.arriving.give_up()
            self._abandoned.append(self._followed)
            self._followed = None

    def layer(self, parent: ChainId | None, diff_id: DiffId, blob: Digest) -> Generator[LayerProgress, None, Layer]:
        """The layer that the blob holds, on top of `parent`; one that is here already needs no progress.

        Raises BadArchive (another layer, or none), InvalidParameter, OSError, System.
        """
        known = self._existing(chain_id(parent, diff_id))
        if known is not None and str(blob) == str(diff_id):
            return known
        if known is None and blob in self._jobs and self._staging is not None:
            job = self._jobs[blob]
            assert job.result is not None
            staged = yield from _awaited(job, job.result, diff_id)
            del self._jobs[blob]
            if staged.diff_id != diff_id:
                self._staging.discard(staged)
                raise BadArchive(f"wrong diff id calculated on extraction {staged.diff_id}, {diff_id} was expected")
            return self._staging.place(parent, staged)
        job = _Job(self._content.size(blob))
        return (yield from _awaited(job, self._pool.submit(self._apply, parent, diff_id, blob, job), diff_id))

    def _existing(self, chain: ChainId) -> Layer | None:
        try:
            return self._catalog.snapshots.layer(chain)
        except LayerNotFound:
            return None

    def _apply(self, parent: ChainId | None, diff_id: DiffId, blob: Digest, job: _Job) -> Layer:
        with self._content.open(blob) as stream:
            job.source = _Counted(stream)
            return self._catalog.snapshots.apply(parent, cast("BinaryIO", job.source), diff_id)


def _may_be_layer(first: bytes) -> bool:
    return is_compressed(first) or first[_MAGIC] == b"ustar"


def _awaited(job: _Job, result: Future[T], diff_id: DiffId) -> Generator[LayerProgress, None, T]:
    """The result, with progress while it is waited for. Raises what the job raises."""
    told = 0
    while not wait([result], _TELL_EVERY).done:
        current = job.source.current if job.source is not None else 0
        if told < current < job.total:
            yield LayerProgress(diff_id, current, job.total)
            told = current
    value = result.result()
    yield LayerProgress(diff_id, job.total, job.total)
    return value
