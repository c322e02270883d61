"""`--cache-to`: records of a build with their layers to a registry or a directory, or into the image's own configuration.

what the build found or made ── mode=max: all of it; min: what the result stands on ──▶ records
layers, packed once ──▶ blobs there already │ sent ──▶ configuration ──▶ manifest under the tag, last of all
"""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from sampan.build.cache.configs import CONFIG, write
from sampan.build.cache.imports import ELSEWHERE, CredentialsOf, Option
from sampan.build.cache.records import Record
from sampan.build.keys import Key
from sampan.content.store import Content
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.files.atomic import make_directory, sync_directory, write_atomic
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.leases import Lease
from sampan.images.packing import is_gzip, is_zstd, pack, packed_before
from sampan.images.pushing import opened
from sampan.images.references import parse_reference, short_id
from sampan.images.saving import IndexDocument, ManifestDocument
from sampan.images.steps import Cancellation, Meter, Report, Step
from sampan.registry.protocol import Repositories, Repository
from sampan.spec.ids import Digest, digest_of, parse_digest
from sampan.spec.oci_image import (
    DOCKER_INDEX,
    MANIFEST_LIMIT,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Index,
    decode_index,
)
from sampan.threads import Threads

_AT_ONCE = 3
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_CHUNK = 1 << 20
_YES, _NO = ("true", "1", "t"), ("false", "0", "f")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One `--cache-to`, read. `every`: mode=max. `manifest`: in a manifest, as registries like it; else in an index."""

    type: str
    ref: str = ""
    dest: str = ""
    tag: str = "latest"
    store: str = ""
    every: bool = False
    manifest: bool = True
    oci: bool = True
    ignore_error: bool = False


def parse(option: Option) -> Destination:
    """What an option says. Raises InvalidParameter, NotImplementedHere for what BuildKit knows and we do not."""
    left = dict(option.attributes)
    if option.type in ELSEWHERE:
        raise NotImplementedHere(
            f"not implemented by Sampan yet: --cache-to type={option.type}; use type=registry or type=local"
        )
    if option.type not in ("inline", "registry", "local", "client"):
        raise InvalidParameter(f"unknown cache exporter: {option.type!r}: it is one of inline, registry, local")
    mode = left.pop("mode", "min")
    if mode not in ("min", "max"):
        raise InvalidParameter(f"invalid cache mode: {mode}: it is min or max")
    if left.pop("compression", "gzip") != "gzip":
        raise NotImplementedHere("cache-to: compression other than gzip is not implemented")
    found = Destination(
        type=option.type,
        ref=left.pop("ref", "") if option.type == "registry" else "",
        dest=left.pop("dest", "") if option.type == "local" else "",
        tag=left.pop("tag", "latest") if option.type == "local" else "latest",
        store=left.pop("store", "") if option.type == "client" else "",
        every=mode == "max",
        manifest=_switch(left, "image-manifest", default=True),
        oci=_switch(left, "oci-mediatypes", default=True),
        ignore_error=_switch(left, "ignore-error", default=False),
    )
    if left:
        raise InvalidParameter(f"cache-to {option.type}: unknown attribute {', '.join(sorted(left))}")
    if option.type == "registry" and not found.ref:
        raise InvalidParameter("registry cache exporter requires ref")
    if option.type == "local" and not os.path.isabs(found.dest):
        raise InvalidParameter("local cache exporter requires dest, an absolute path")
    if found.manifest and not found.oci:
        raise InvalidParameter("invalid configuration: image-manifest=true requires oci-mediatypes=true")
    return found


def _switch(attributes: dict[str, str], name: str, *, default: bool) -> bool:
    text = attributes.pop(name, "").lower()
    if text and text not in (*_YES, *_NO):
        raise InvalidParameter(f"non-bool value {text!r} specified for {name}")
    return text in _YES if text else default


def selected(records: Mapping[Key, Record], results: Sequence[Sequence[str]], *, every: bool) -> dict[Key, Record]:
    """Those of a build's records that travel: all, or those whose layers (diff ids) are a beginning of a result's."""
    found: dict[Key, Record] = {}
    for key, record in records.items():
        stack = [layer.diff_id for layer in record.layers]
        if stack and (every or any(stack == list(one[: len(stack)]) for one in results)):
            found[key] = record
    return found


class Exports:
    """Sends one build's cache. Blocks; for one thread."""

    def __init__(
        self,
        catalog: Catalog,
        repositories: Repositories,
        credentials: CredentialsOf,
        report: Report,
        end: Cancellation,
        stores: Mapping[str, Repository] = {},
    ) -> None:
        """`stores` of the client, by name."""
        self._stores = stores
        self._catalog = catalog
        self._content = catalog.content
        self._repositories = repositories
        self._credentials = credentials
        self._report = report
        self._end = end

    def send(
        self, to: Destination, records: Mapping[Key, Record], results: Sequence[Sequence[str]], lease: Lease
    ) -> Descriptor:
        """Send what `selected` chooses; its manifest. `lease` holds the records' layers and all that is packed of them.

        Raises what the registry says, OSError, Cancelled.
        """
        chosen = selected(records, results, every=to.every)
        distinct = {layer.diff_id: layer for record in chosen.values() for layer in record.layers}
        packed = {diff_id: self._packed(layer, lease) for diff_id, layer in distinct.items()}
        data, layers = write(chosen, packed)
        config = Descriptor(CONFIG, digest_of(data), len(data))
        media_type, manifest = _manifest(to, config, layers)
        described = Descriptor(media_type, digest_of(manifest), len(manifest))
        if to.type == "local":
            _Directory(Path(to.dest), self._content, self._end).write(
                layers, {config.digest: data, described.digest: manifest}, to.tag, described
            )
        elif to.type == "client":
            self._fill(self._stores[to.store], "", layers, config, data, media_type, manifest)
        else:
            self._push(to, layers, config, data, media_type, manifest)
        return described

    def _packed(self, layer: LayerRecord, lease: Lease) -> Descriptor:
        """The layer as it travels: as it lies here where that is packed, else as gzip."""
        blob = Digest(layer.blob)
        if not is_gzip(self._content, blob) and not is_zstd(self._content, blob):
            self._report(Step("Preparing", short_id(layer.diff_id)))
            before = packed_before(self._catalog, layer.diff_id)
            blob = (
                before
                if before is not None and lease.keep_blob(before)
                else pack(self._content, layer, lease, self._end)
            )
        suffix = "+zstd" if is_zstd(self._content, blob) else "+gzip"
        return Descriptor(OCI_LAYER + suffix, blob, self._content.size(blob))

    def _push(
        self,
        to: Destination,
        layers: Iterable[Descriptor],
        config: Descriptor,
        data: bytes,
        media_type: str,
        manifest: bytes,
    ) -> None:
        reference = parse_reference(to.ref).with_default_tag()
        if reference.digest is not None:
            raise InvalidParameter("a cache cannot be sent to a digest")
        credentials = self._credentials(reference.domain)
        repository = self._repositories.pushing(reference.domain, reference.path, credentials)
        self._fill(repository, reference.tag or "latest", layers, config, data, media_type, manifest)

    def _fill(
        self,
        repository: Repository,
        tag: str,
        layers: Iterable[Descriptor],
        config: Descriptor,
        data: bytes,
        media_type: str,
        manifest: bytes,
    ) -> None:
        with Threads(_AT_ONCE, "cache-upload") as pool:
            for sent in [pool.submit(self._upload, repository, layer) for layer in layers]:
                sent.result()
        if not repository.has_blob(parse_digest(config.digest)):
            repository.upload(parse_digest(config.digest), len(data), partial(_at, data), _unheard)
        repository.put_manifest(tag, media_type, manifest)

    def _upload(self, repository: Repository, layer: Descriptor) -> None:
        self._end.check()
        digest = parse_digest(layer.digest)
        if repository.has_blob(digest):
            self._report(Step("Layer already exists", short_id(digest)))
            return
        meter = Meter(self._report, "Pushing", short_id(digest), layer.size)
        repository.upload(digest, layer.size, partial(opened, self._content, digest, self._end), meter)
        self._report(Step("Pushed", short_id(digest)))


def _manifest(to: Destination, config: Descriptor, layers: Sequence[Descriptor]) -> tuple[str, bytes]:
    if to.manifest:
        return OCI_MANIFEST, msgspec.json.encode(ManifestDocument(config, list(layers)))
    media_type = OCI_INDEX if to.oci else DOCKER_INDEX
    return media_type, msgspec.json.encode(IndexDocument([*layers, config], media_type))


class _Directory:
    """An OCI layout on this host: blobs first, `index.json` last, each of them whole or not there."""

    def __init__(self, path: Path, content: Content, end: Cancellation) -> None:
        self._path = path
        self._content = content
        self._end = end

    def write(self, layers: Iterable[Descriptor], small: Mapping[str, bytes], tag: str, manifest: Descriptor) -> None:
        self._path.mkdir(mode=0o755, parents=True, exist_ok=True)
        make_directory(self._path / "blobs", 0o755)
        blobs = make_directory(self._path / "blobs" / "sha256", 0o755)
        write_atomic(self._path / "oci-layout", _LAYOUT, 0o644)
        for layer in layers:
            self._copy(parse_digest(layer.digest), blobs)
        for digest, data in small.items():
            write_atomic(blobs / parse_digest(digest).removeprefix("sha256:"), data, 0o644)
        sync_directory(blobs)
        index = IndexDocument([*self._others(tag), msgspec.structs.replace(manifest, annotations={REF_NAME: tag})])
        write_atomic(self._path / "index.json", msgspec.json.encode(index), 0o644)

    def _others(self, tag: str) -> list[Descriptor]:
        """What `index.json` names beside the tag."""
        try:
            data = (self._path / "index.json").read_bytes()
        except FileNotFoundError:
            return []
        index: Index = decode_index(data[: MANIFEST_LIMIT + 1])
        return [entry for entry in index.manifests or [] if (entry.annotations or {}).get(REF_NAME) != tag]

    def _copy(self, digest: Digest, blobs: Path) -> None:
        target = blobs / digest.removeprefix("sha256:")
        if target.exists() and target.stat().st_size == self._content.size(digest):
            return
        made = blobs / f".{os.urandom(8).hex()}"
        try:
            with self._content.open(digest) as source, open(made, "xb") as out:
                while chunk := source.read(_CHUNK):
                    self._end.check()
                    out.write(chunk)
            made.chmod(0o644)
            made.rename(target)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


def _at(data: bytes, offset: int) -> BinaryIO:
    return io.BytesIO(data[offset:])


def _unheard(_: int) -> None:
    """A configuration's bytes have no bar."""
