"""The layers of one pull, unpacked as they arrive, several at once; each gets its place when the one below it has its own.

arrived ─▶ a thread: unpack ─┐
arrived ─▶ a thread: unpack ─┼─▶ on top of each other, the lowest first ─▶ "Pull complete"
arrived ─▶ a thread: unpack ─┘
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Self, cast

from sampan.errors import InvalidParameter
from sampan.files.tar_reader import BadArchive
from sampan.images.catalog import Catalog
from sampan.images.references import short_id
from sampan.images.steps import Cancellation, Meter, Metered, Report, Step
from sampan.snapshots.protocol import LayerNotFound, Staged, chain_id
from sampan.spec.ids import ChainId, DiffId, parse_digest
from sampan.spec.oci_image import Descriptor
from sampan.threads import Threads

_AT_ONCE = 4


class Turns:
    """Lets one pull at a time unpack a layer: whoever waited finds it there."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._changed = threading.Condition()

    def take(self, name: str, end: Cancellation) -> None:
        """Wait until nobody else has it. Raises Cancelled."""
        end.wakes(self._wake)
        with self._changed:
            self._changed.wait_for(lambda: name not in self._taken or end.asked)
            end.check()
            self._taken.add(name)

    def give(self, name: str) -> None:
        """The next may have it."""
        with self._changed:
            self._taken.discard(name)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclass(slots=True)
class _Layer:
    """One layer on its way to its place."""

    described: Descriptor
    parent: ChainId | None
    diff_id: DiffId
    arrived: Callable[[Cancellation], None]
    ours: bool = False
    """whether its turn was taken"""
    staged: "Future[Staged | None]" = field(default_factory=Future)

    @property
    def chain(self) -> ChainId:
        return chain_id(self.parent, self.diff_id)


class Stack:
    """A context manager, at whose end nothing is left of what has found no place. For one thread."""

    def __init__(self, catalog: Catalog, turns: Turns, report: Report, end: Cancellation) -> None:
        """`end` calls it off."""
        self._catalog = catalog
        self._turns = turns
        self._report = report
        self._stop = Cancellation()
        end.wakes(self._stop.cancel)
        self._end = end
        self._layers: list[_Layer] = []
        self._failure: BaseException | None = None
        self._pool = Threads(min(_AT_ONCE, os.cpu_count() or 1), "unpack")

    def add(
        self, described: Descriptor, parent: ChainId | None, diff_id: DiffId, arrived: Callable[[Cancellation], None]
    ) -> None:
        """One more layer, above those that were added before. `arrived` waits until its blob is in the store.

        Raises System where there is no thread for it.
        """
        layer = _Layer(described, parent, diff_id, arrived)
        layer.staged = self._pool.submit(self._stage, layer)
        self._layers.append(layer)

    def finish(self) -> None:
        """Put all in their places. Raises what went wrong first with any of them, InvalidParameter, OSError, Cancelled."""
        for layer in self._layers:
            try:
                self._place(layer, layer.staged.result())
            except BaseException:
                self._end.check()
                if self._failure is not None:
                    raise self._failure from None
                raise
            self._report(Step("Pull complete", short_id(layer.described.digest)))

    def _stage(self, layer: _Layer) -> Staged | None:
        """The layer unpacked; None where it is already here, or can only be unpacked on top of the one below."""
        try:
            layer.arrived(self._stop)
            self._turns.take(layer.chain, self._stop)
            layer.ours = True
            staging = self._catalog.snapshots.staging
            if staging is None or self._is_here(layer.chain):
                return None
            with self._catalog.content.open(parse_digest(layer.described.digest)) as blob:
                return staging.unpack(self._metered(layer, blob))
        except BaseException as error:
            if self._failure is None and not self._stop.asked:
                self._failure = _told(error)
            self._stop.cancel()
            raise

    def _place(self, layer: _Layer, staged: Staged | None) -> None:
        snapshots = self._catalog.snapshots
        try:
            if staged is None:
                # Read in full where the layer is here already: whoever names it must have it.
                with self._catalog.content.open(parse_digest(layer.described.digest)) as blob:
                    snapshots.apply(layer.parent, self._metered(layer, blob), layer.diff_id)
            elif staged.diff_id != layer.diff_id:
                raise BadArchive(
                    f"wrong diff id calculated on extraction {staged.diff_id}, {layer.diff_id} was expected"
                )
            elif snapshots.staging is not None:
                layer.staged = Future()  # it is placed, or discarded by who was to place it
                snapshots.staging.place(layer.parent, staged)
        except BadArchive as error:
            raise _told(error) from error
        self._turns.give(layer.chain)
        layer.ours = False

    def _metered(self, layer: _Layer, blob: BinaryIO) -> BinaryIO:
        meter = Meter(self._report, "Extracting", short_id(layer.described.digest), layer.described.size)
        return cast(BinaryIO, Metered(blob, meter, self._stop))

    def _is_here(self, chain: ChainId) -> bool:
        try:
            self._catalog.snapshots.layer(chain)
        except LayerNotFound:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
        staging = self._catalog.snapshots.staging
        for layer in self._layers:
            if layer.staged.done() and not layer.staged.cancelled() and layer.staged.exception() is None:
                staged = layer.staged.result()
                if staged is not None and staging is not None:
                    staging.discard(staged)
            if layer.ours:
                self._turns.give(layer.chain)


def _told(error: BaseException) -> BaseException:
    """An archive's fault in Docker's words; anything else as it is."""
    return InvalidParameter(f"failed to register layer: {error}") if isinstance(error, BadArchive) else error
