"""`push`: an image to a registry, layers side by side, the manifest last.

tag ─▶ manifest as it came, where all of it is here ─┐
    └▶ else one made of the store's packed layers  ──┴▶ each layer: there already │ mounted from a neighbour │ uploaded
                                                         configuration ─▶ manifest under the tag ─▶ record, digest's name
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import BinaryIO, Self, cast

import msgspec

from sampan.content.store import Content
from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError, System
from sampan.images import host
from sampan.images.catalog import Catalog, ImageRecord, LayerRecord, ManifestRecord
from sampan.images.lanes import Lanes
from sampan.images.leases import Lease
from sampan.images.outgoing import Outgoing, OutgoingIndex, outgoing, outgoing_index
from sampan.images.packing import is_gzip, is_zstd, pack, packed_before
from sampan.images.references import Reference, short_id
from sampan.images.steps import Cancellation, Meter, PushResult, Report, Step, count_down
from sampan.registry.faults import Refused, Unreachable
from sampan.registry.protocol import Credentials, Repositories, Repository
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
)

_MOUNTS = 4
"""Neighbours that are asked for a layer before it is uploaded."""
_ATTEMPTS = 5
"""How often a layer is sent, as in Docker."""


class _Described(msgspec.Struct, frozen=True, rename="camel"):
    """A descriptor in Docker's order of members, so that the same image gets the same digest here and there."""

    media_type: str
    size: int
    digest: str


class _ManifestDocument(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int
    media_type: str
    config: _Described | Descriptor
    layers: list[_Described | Descriptor]


class Pusher:
    """Pushes images for one daemon. Any thread may call."""

    def __init__(
        self,
        catalog: Catalog,
        repositories: Repositories,
        limit: int,
        pushed: Callable[[ImageId, Reference], None],
        second: float = 1.0,
    ) -> None:
        """At most `limit` layers travel at once. `pushed` hears of each push; `second` is how long a second of waiting takes."""
        self._catalog = catalog
        self._repositories = repositories
        self.lanes = Lanes(limit, "upload")
        self._pushed = pushed
        self._second = second

    def push(self, reference: Reference, credentials: Credentials, report: Report, end: Cancellation) -> None:
        """Send one tag, or all tags where the reference has none.

        Raises NotFound, Forbidden, InvalidParameter and what the registry says, in Docker's words; Cancelled.
        """
        report(Step(f"The push refers to repository [{reference.name}]", plain=True))
        wanted = self._wanted(reference)
        for _, image in wanted:
            rootfs = self._catalog.config(image).rootfs
            if rootfs is not None and host.DIFF_ID in (rootfs.diff_ids or ()):
                raise Forbidden(
                    f"{reference.familiar} stands on the image host, which is this machine itself and cannot leave it"
                )
        repository = self._repositories.pushing(reference.domain, reference.path, credentials)
        for tag, image in wanted:
            _Push(self._catalog, self.lanes, repository, report, end, self._second).run(tag, image)
        self._pushed(wanted[0][1], reference)

    def _wanted(self, reference: Reference) -> list[tuple[Reference, ImageId]]:
        named = [(one, image) for one, image in self._catalog.references() if one.name == reference.name]
        if not named:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        if reference.digest is not None:
            raise InvalidParameter("cannot push a digest reference")
        tags = [(one, image) for one, image in named if one.tag is not None]
        if reference.tag is None:
            if not tags:
                raise NotFound(f"no tags to push for {reference.familiar_name}")
            return tags
        found = [pair for pair in tags if pair[0].tag == reference.tag]
        if not found:
            raise NotFound(f"tag does not exist: {reference.familiar}")
        return found


class _Push:
    """One tag."""

    def __init__(
        self, catalog: Catalog, lanes: Lanes, repository: Repository, report: Report, end: Cancellation, second: float
    ) -> None:
        self._second = second
        self._failures: list[BaseException] = []
        self._catalog = catalog
        self._content = catalog.content
        self._lanes = lanes
        self._repository = repository
        self._report = report
        self._end = end
        self._name = f"{repository.domain}/{repository.path}"

    def run(self, reference: Reference, image: ImageId) -> None:
        """Send what the tag stands for."""
        with self._catalog.lease() as lease:
            record = self._catalog.hold_image(lease, image)
            index = outgoing_index(self._content, record.manifests)
            sent = self._send_index(index) if index is not None else self._send_image(lease, image, record)
            tag = reference.tag or ""
            self._repository.put_manifest(tag, sent.media_type, sent.data)
            self._record(lease, reference, image, sent)
        size = len(sent.data)
        self._report(Step(f"{tag}: digest: {sent.digest} size: {size}", plain=True))
        self._report(Step("", result=PushResult(tag, sent.digest, size)))

    def _send_image(self, lease: Lease, image: ImageId, record: ImageRecord) -> Outgoing:
        """All but the manifest, which is the result."""
        diff_ids = [layer.diff_id for layer in record.layers]
        for diff_id in reversed(diff_ids):
            self._report(Step("Preparing", short_id(diff_id)))
        known = outgoing(self._content, record.manifests, len(diff_ids), self._name)
        sent = known or self._made(lease, image, record)
        self._send_layers(sent.layers, diff_ids)
        self._send_config(sent.config)
        return sent

    def _send_index(self, index: OutgoingIndex) -> OutgoingIndex:
        """Everything that the index leads to; its layers are told by their blobs, for nothing more is known of some."""
        for each in index.manifests:
            for layer in each.layers:
                self._report(Step("Preparing", short_id(layer.digest)))
        for each in index.manifests:
            self._send_layers(each.layers, [layer.digest for layer in each.layers])
            self._send_config(each.config)
            self._repository.put_manifest(each.digest, each.media_type, each.data)
        return index

    # ---- what is sent

    def _made(self, lease: Lease, image: ImageId, record: ImageRecord) -> Outgoing:
        """A manifest of the layers as they lie here; OCI's where one of them is packed in a way that Docker's has no name for."""
        blobs = self._packed(lease, record)
        oci = any(is_zstd(self._content, blob) for blob in blobs)
        layers = []
        for blob in blobs:
            suffix = "+zstd" if is_zstd(self._content, blob) else "+gzip"
            layers.append(Descriptor(OCI_LAYER + suffix if oci else DOCKER_LAYER, blob, self._content.size(blob)))
        size = len(self._content.read(Digest(image), CONFIG_LIMIT))
        config = Descriptor(OCI_CONFIG if oci else DOCKER_CONFIG, image, size)
        media_type = OCI_MANIFEST if oci else DOCKER_MANIFEST
        data = _written(media_type, config, layers)
        return Outgoing(media_type, data, config, tuple(layers))

    def _packed(self, lease: Lease, record: ImageRecord) -> list[Digest]:
        found: list[Digest] = []
        work: list[Callable[[], None]] = []
        for number, layer in enumerate(record.layers):
            blob = Digest(layer.blob)
            if not (is_gzip(self._content, blob) or is_zstd(self._content, blob)):
                before = packed_before(self._catalog, layer.diff_id)
                if before is not None and lease.keep_blob(before):
                    blob = before
                else:
                    work.append(partial(self._pack, lease, layer, found, number))
            found.append(blob)
        self._all(work)
        return found

    def _pack(self, lease: Lease, layer: LayerRecord, found: list[Digest], number: int) -> None:
        found[number] = pack(self._content, layer, lease, self._end)

    # ---- sending

    def _send_layers(self, layers: Sequence[Descriptor], diff_ids: Sequence[str]) -> None:
        distinct = {layer.digest: (layer, diff_id) for layer, diff_id in zip(layers, diff_ids, strict=True)}
        calls = [partial(self._send, layer, diff_id) for layer, diff_id in reversed(distinct.values())]
        self._all(calls, [short_id(diff_id) for _, diff_id in reversed(distinct.values())])

    def _all(self, calls: Sequence[Callable[[], None]], names: Sequence[str] = ()) -> None:
        """Do all of them in lanes, and wait for the last one; the first error ends the others. Raises Cancelled."""
        failures = self._failures
        left = threading.Semaphore(0)

        def guarded(call: Callable[[], None]) -> None:
            try:
                self._end.check()
                if not failures:
                    call()
            except BaseException as error:  # noqa: BLE001 - a thread's end: whoever waits raises it
                failures.append(error)
            finally:
                left.release()

        for number, call in enumerate(calls):
            waits = partial(self._report, Step("Waiting", names[number])) if names else _silent
            try:
                self._lanes.submit(partial(guarded, call), waits)
            except System as error:
                failures.append(error)
                left.release()
        for _ in calls:
            left.acquire()
        if failures:
            raise failures[0]

    def _send(self, layer: Descriptor, diff_id: str) -> None:
        digest, identifier = Digest(layer.digest), short_id(diff_id)
        if self._repository.has_blob(digest):
            self._report(Step("Layer already exists", identifier))
            return
        source = self._mounted(digest)
        if source:
            self._report(Step(f"Mounted from {source}", identifier))
            return
        self._upload(digest, layer.size, identifier)
        self._report(Step("Pushed", identifier))

    def _upload(self, digest: Digest, size: int, identifier: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            meter = Meter(self._report, "Pushing", identifier, size)
            try:
                self._repository.upload(digest, size, partial(opened, self._content, digest, self._end), meter)
                return
            except (Unreachable, Refused) as error:
                if attempt == _ATTEMPTS or not _may_pass(error):
                    raise
                count_down(self._report, identifier, attempt * 5, self._pause)

    def _pause(self) -> None:
        """A second of waiting; not another one where all is in vain. Raises Cancelled, and what another layer failed with."""
        self._end.sleep(self._second)
        if self._failures:
            raise self._failures[0]

    def _mounted(self, digest: Digest) -> str:
        """The repository of the same registry that gave the blob; "" where none did, whatever its reason."""
        for source in self._neighbours(digest)[:_MOUNTS]:
            try:
                if self._repository.mount(digest, source):
                    return source
            except SampanError:
                # Not allowed to read there, perhaps: then the blob is uploaded, and says why where that is refused, too.
                continue
        return ""

    def _neighbours(self, digest: Digest) -> list[str]:
        prefix = f"{self._repository.domain}/"
        found: dict[str, None] = {}
        with self._catalog.lock:
            records = [self._catalog.record(image) for image in self._catalog.images()]
        for record in records:
            for manifest in record.manifests:
                if digest in manifest.layers:
                    found.update(dict.fromkeys(manifest.repositories))
        return [name.removeprefix(prefix) for name in found if name.startswith(prefix) and name != self._name]

    def _send_config(self, config: Descriptor) -> None:
        digest = Digest(config.digest)
        if not self._repository.has_blob(digest):
            self._repository.upload(
                digest, config.size, partial(opened, self._content, digest, self._end), lambda _: None
            )

    def _record(self, lease: Lease, reference: Reference, image: ImageId, sent: Outgoing | OutgoingIndex) -> None:
        self._content.put(sent.data, lease.take)
        self._content.sync()
        named = Reference(reference.domain, reference.path, None, sent.digest)
        if isinstance(sent, OutgoingIndex):
            manifest = msgspec.structs.replace(sent.record, repositories=[self._name])
        else:
            layers = [layer.digest for layer in sent.layers]
            manifest = ManifestRecord(sent.digest, sent.media_type, layers, [self._name])
        with self._catalog.lock:
            if self._catalog.has(image):
                self._catalog.add(image, [], [named], manifests=[manifest])


def _written(media_type: str, config: Descriptor, layers: list[Descriptor]) -> bytes:
    """The manifest's bytes, indented as Docker does it."""

    def part(described: Descriptor) -> _Described | Descriptor:
        if media_type != DOCKER_MANIFEST:
            return described
        return _Described(described.media_type, described.size, described.digest)

    document = _ManifestDocument(2, media_type, part(config), [part(layer) for layer in layers])
    return msgspec.json.format(msgspec.json.encode(document), indent=3)


class _Source:
    """A blob's bytes on their way out; ends with Cancelled when the push is called off."""

    def __init__(self, blob: BinaryIO, end: Cancellation) -> None:
        self._blob = blob
        self._end = end

    def read(self, size: int = -1) -> bytes:
        self._end.check()
        return self._blob.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._blob.close()


def _may_pass(error: Unreachable | Refused) -> bool:
    """Whether sending it again may help: no answer came in time, or the registry itself was in trouble."""
    return error.late if isinstance(error, Unreachable) else error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _silent() -> None:
    """Packing has no bar."""


def opened(content: Content, digest: Digest, end: Cancellation, offset: int) -> BinaryIO:
    """A blob from `offset` on, as an upload reads it; ends with Cancelled when that is called off. Raises NotFound."""
    blob = content.open(digest)
    blob.seek(offset)
    return cast(BinaryIO, _Source(blob, end))
