"""`system check`: everything that images and the build cache need, looked at byte by byte; and what nobody needs any more.

    the disk written to                     ─▶ read-only, broken               nothing is repaired then
    blobs    hashed                         ─▶ missing, truncated, changed     repair: moved away; the next pull or load brings it
    layers   compared with their tar        ─▶ missing, damaged                repair: unpacked again where the tar is whole
    images   configuration, layer count     ─▶ broken
    names    looked up                      ─▶ mean no image                   repair: taken away
    the rest                                ─▶ orphans, strays                 repair: deleted

May run beside everything else: what images needed when it began stays until it ends, and what others hold is no orphan.
"""

import errno
import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from sampan.errors import SampanError, host_words
from sampan.files.probing import refusal
from sampan.images import host
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.findings import Examined, Finding, Kind, Step, Verdict
from sampan.images.leases import Lease
from sampan.images.ledger import stacked
from sampan.images.removal import Users
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ChainId, DiffId, Digest, ImageId

_CHUNK = 1 << 20
_REPORT = 16 << 20
_AGAIN = "pull or load it again"
_MADE_AGAIN = "the next build makes it again"
_BUILD_CACHE = "the build cache"
_REPAIR = "--repair"
_MEND_DISK = "see the kernel's log (dmesg), check the file system (fsck), mount it again"


class Check:
    """One run over one catalog. Of use once, in one thread."""

    def __init__(self, catalog: Catalog, users: Users, repair: bool) -> None:
        """`users` tells which containers were made from an image."""
        self._catalog = catalog
        self._users = users
        self._repair = repair
        self._images: dict[ImageId, Sequence[LayerRecord]] = {}
        self._kept: list[Sequence[LayerRecord]] = []
        # Apart, because the lowest layer and its plain tar have the same digest.
        self._bad_blobs: set[str] = set()
        self._bad_layers: set[str] = set()
        self._examined = 0
        self._total = 0
        self._counts = {True: 0, False: 0}

    def run(self) -> Iterator[Step]:
        """Look at everything. The last step is the Verdict."""
        with self._catalog.lease() as lease:
            # Under one lock: an image that goes in between would be held, and not be found.
            with self._catalog.lock:
                blobs = self._hold(lease)
                layers = self._layers()
            self._total = self._expected(blobs, layers)
            for finding in self._steps(blobs, layers):
                if isinstance(finding, Finding):
                    self._counts[finding.repaired] += 1
                yield finding
        found = self._counts[True] + self._counts[False]
        yield Verdict(len(self._images), len(blobs), len(layers), found, self._counts[True])

    def _steps(
        self, blobs: dict[Digest, int | None], layers: dict[ChainId, "_LayerPlan"]
    ) -> Iterator[Finding | Examined]:
        yield from self._disk()
        for digest, size in blobs.items():
            yield from self._blob(digest, size)
        for plan in layers.values():
            yield from self._layer(plan)
        if self._repair:
            self._catalog.snapshots.sync()
        for image in self._images:
            yield from self._image(image)
        yield from self._names()
        yield from self._orphans()
        yield from self._strays()

    def _disk(self) -> Iterator[Finding]:
        """A file system that the kernel has made read-only still shows all that was written: that it takes no more is a fault."""
        root = self._catalog.content.root
        refused = refusal(root)
        if refused is not None and refused.errno in (errno.EROFS, errno.EIO):
            self._repair = False
            yield Finding(Kind.DISK, str(root), (), f"cannot be written: {host_words(refused)}", _MEND_DISK)

    def _hold(self, lease: Lease) -> dict[Digest, int | None]:
        """Hold all that images need; their blobs, with their sizes where a record tells."""
        blobs: dict[Digest, int | None] = {}
        with self._catalog.lock:
            for image in self._catalog.images():
                if self._catalog.is_fixed(image):
                    continue
                record = self._catalog.hold_image(lease, image)
                self._images[image] = record.layers
                blobs.setdefault(Digest(image), None)
                for name in record.blobs():
                    blobs.setdefault(Digest(name), None)
                blobs.update((Digest(layer.blob), layer.size) for layer in record.layers)
            for keeper in self._catalog.keepers:
                for stack in keeper.stacks():
                    self._kept.append(stack)
                    blobs.update((Digest(layer.blob), layer.size) for layer in stack)
                    for name in (*stacked(layer.diff_id for layer in stack), *(layer.blob for layer in stack)):
                        lease.take(name)
        return blobs

    def _layers(self) -> dict[ChainId, "_LayerPlan"]:
        """Every layer with the blob it can be made of, parents before what stands on them."""
        plans: dict[ChainId, _LayerPlan] = {}
        for image, records in self._images.items():
            chains = [chain for chain in self._catalog.chains(image) if chain != host.CHAIN]
            if len(chains) != len(records):
                continue  # told with the image
            for chain, record in zip(chains, records, strict=True):
                lower = self._catalog.chains(image)[: self._catalog.chains(image).index(chain)]
                plan = plans.setdefault(
                    chain, _LayerPlan(chain, lower[-1] if lower else None, DiffId(record.diff_id), Digest(record.blob))
                )
                plan.images.append(image)
        for stack in self._kept:
            below: ChainId | None = None
            for chain, record in zip(stacked(layer.diff_id for layer in stack), stack, strict=True):
                plans.setdefault(chain, _LayerPlan(chain, below, DiffId(record.diff_id), Digest(record.blob)))
                below = chain
        return plans

    def _expected(self, blobs: dict[Digest, int | None], layers: dict[ChainId, "_LayerPlan"]) -> int:
        total = 0
        for digest in blobs:
            if self._catalog.content.has(digest):
                total += self._catalog.content.size(digest)
        known = {layer.chain: layer.tar_size for layer in self._catalog.snapshots.layers()}
        return total + sum(known.get(chain, 0) for chain in layers)

    def _called(self, images: Sequence[ImageId]) -> tuple[str, ...]:
        """Images as their users know them."""
        names: list[str] = []
        for image in images:
            names += [reference.familiar for reference in self._catalog.references_of(image)] or [image[7:19]]
        return tuple(sorted(names)) or (_BUILD_CACHE,)

    def _blob(self, digest: Digest, expected: int | None) -> Iterator[Finding | Examined]:
        content = self._catalog.content
        problem = ""
        size = 0
        try:
            hashed = hashlib.sha256()
            with content.open(digest) as stream:
                while chunk := stream.read(_CHUNK):
                    hashed.update(chunk)
                    size += len(chunk)
                    self._examined += len(chunk)
                    if size % _REPORT < _CHUNK:
                        yield self._progress()
            if f"sha256:{hashed.hexdigest()}" != digest:
                shortened = expected is not None and size < expected
                problem = f"truncated: {size} of {expected} bytes" if shortened else "its bytes were changed"
        except SampanError:
            problem = "missing"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem:
            self._bad_blobs.add(digest)
            yield self._damaged_blob(digest, problem)

    def _damaged_blob(self, digest: Digest, problem: str) -> Finding:
        needing = [image for image in self._images if digest in self._catalog.needs(image)]
        again = _AGAIN if needing else _MADE_AGAIN
        remedy = again if problem == "missing" else f"{_REPAIR}, then {again}"
        if self._repair and problem != "missing":
            self._catalog.content.quarantine(digest)
            for image in needing:
                if Digest(image) == digest:
                    self._catalog.forget_config(image)
            remedy = f"moved to content/damaged; {again}"
        # Whole again only when somebody brings the bytes: not repaired.
        return Finding(Kind.BLOB, digest, self._called(needing), problem, remedy)

    def _layer(self, plan: "_LayerPlan") -> Iterator[Finding | Examined]:
        problem = yield from self._compared(plan)
        if not problem:
            return
        self._bad_layers.add(plan.chain)
        busy = any(user.running for image in plan.images for user in self._users(image))
        if plan.blob in self._bad_blobs:
            remedy, repaired = f"{_AGAIN if plan.images else _MADE_AGAIN}, then {_REPAIR}", False
        elif busy:
            remedy, repaired = f"stop the containers that run from it, then {_REPAIR}", False
        elif not self._repair:
            remedy, repaired = _REPAIR, False
        else:
            remedy, repaired = self._mended(plan)
        yield Finding(Kind.LAYER, plan.chain, self._called(plan.images), problem, remedy, repaired)

    def _compared(self, plan: "_LayerPlan") -> Generator[Examined, None, str]:
        """What is wrong with the layer; "" for nothing, or where there is no whole tar to compare it with."""
        snapshots = self._catalog.snapshots
        try:
            layer = snapshots.layer(plan.chain)
        except LayerNotFound:
            return "missing"
        if plan.blob in self._bad_blobs:
            self._examined += layer.tar_size
            return ""
        if plan.parent is not None and plan.parent in self._bad_layers and snapshots.whole:
            return "made of a damaged layer"
        before = self._examined
        try:
            with self._catalog.content.open(plan.blob) as stream:
                comparison = snapshots.verify(plan.chain, stream)
                while True:
                    try:
                        self._examined = before + next(comparison)
                    except StopIteration as end:
                        differences: tuple[str, ...] = end.value
                        return "; ".join(differences)
                    yield self._progress()
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        finally:
            self._examined = before + layer.tar_size

    def _mended(self, plan: "_LayerPlan") -> tuple[str, bool]:
        try:
            with self._catalog.content.open(plan.blob) as stream:
                self._catalog.snapshots.mend(plan.parent, stream, plan.diff_id)
        except (SampanError, OSError) as error:
            return f"could not be unpacked again: {error}", False
        if not self._catalog.snapshots.whole:
            self._bad_layers.discard(plan.chain)
        with self._catalog.lock:
            for image in plan.images:
                if self._catalog.has(image):
                    self._catalog.refresh(image)
        return "unpacked again", True

    def _image(self, image: ImageId) -> Iterator[Finding]:
        facts = self._catalog.ledger.facts(image)
        if facts is None:
            return
        if facts.broken and image not in self._bad_blobs:
            with self._catalog.lock:
                if not self._catalog.has(image):
                    return  # removed a moment ago
                self._catalog.refresh(image)  # its configuration may have come back since the daemon started
                facts = self._catalog.facts(image)
        remedy = f"remove it, and {_AGAIN}"
        chains = [chain for chain in facts.chains if chain != host.CHAIN]
        if facts.broken and image not in self._bad_blobs:
            yield Finding(Kind.IMAGE, image, self._called([image]), facts.broken, remedy)
        elif len(chains) != len(self._images[image]) and not facts.broken:
            problem = f"its configuration names {len(chains)} layers, its record {len(self._images[image])}"
            yield Finding(Kind.IMAGE, image, self._called([image]), problem, remedy)

    def _names(self) -> Iterator[Finding]:
        # Nothing is yielded under the lock: the next step may be another thread's.
        with self._catalog.lock:
            lost = [pair for pair in self._catalog.references() if not self._catalog.has(pair[1])]
            if self._repair and lost:
                self._catalog.commit([self._catalog.drop_reference(reference) for reference, _ in lost])
        remedy = "taken away" if self._repair else _REPAIR
        for reference, image in lost:
            problem = f"means {image}, which is not there"
            yield Finding(Kind.NAME, reference.familiar, (), problem, remedy, self._repair)

    def _orphans(self) -> Iterator[Finding]:
        with self._catalog.lock:
            orphans = self._catalog.orphans()
            if self._repair:
                self._catalog.collect(orphans)
            partials = self._catalog.content.partials
            useless = [one.digest for one in partials.waiting() if self._catalog.content.has(one.digest)]
            for digest in useless if self._repair else ():
                partials.discard(digest)
        remedy = "deleted" if self._repair else _REPAIR
        for name in orphans:
            yield Finding(Kind.ORPHAN, name, (), "no image needs it", remedy, self._repair)
        for digest in useless:
            yield Finding(Kind.ORPHAN, digest, (), "half of a blob that is there in whole", remedy, self._repair)

    def _strays(self) -> Iterator[Finding]:
        content, snapshots = self._catalog.content, self._catalog.snapshots
        found: list[tuple[Path, Callable[[Path], None]]] = [(path, content.throw_away) for path in content.strays()]
        found += [(path, snapshots.throw_away) for path in snapshots.strays()]
        for path, throw_away in found:
            remedy, repaired = _REPAIR, False
            if self._repair:
                try:
                    throw_away(path)
                    remedy, repaired = "deleted", True
                except OSError as error:
                    remedy = f"delete it by hand: {error.strerror}"
            yield Finding(Kind.STRAY, str(path), (), "belongs to nothing", remedy, repaired)

    def _progress(self) -> Examined:
        return Examined(min(self._examined, self._total), self._total)


class _LayerPlan:
    """One layer, and what it can be made of again."""

    def __init__(self, chain: ChainId, parent: ChainId | None, diff_id: DiffId, blob: Digest) -> None:
        self.chain = chain
        self.parent = parent
        self.diff_id = diff_id
        self.blob = blob
        self.images: list[ImageId] = []
