"""`--cache-from`: what another machine built, found by the same keys; its layers are brought when a step wants them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from sampan.build.cache.configs import Found, read_inline
from sampan.build.cache.places import Layout, find
from sampan.build.cache.records import Entry, Record
from sampan.build.keys import Key
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere, SampanError, System
from sampan.images.bringing import Bringing
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.leases import Lease
from sampan.images.references import Reference, parse_reference
from sampan.images.steps import Cancellation, Report
from sampan.registry.protocol import Credentials, Repositories, Source
from sampan.spec.ids import parse_digest
from sampan.spec.oci_image import Descriptor

_log = logging.getLogger(__name__)

ELSEWHERE = ("gha", "s3", "azblob")
"""Where BuildKit keeps caches, and Sampan none."""
CredentialsOf = Callable[[str], Credentials]
"""What a client gave for a registry's domain."""


class Option(Protocol):
    """One `--cache-from` or `--cache-to`."""

    @property
    def type(self) -> str:
        """registry, local, inline, or image."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """What stands behind it."""
        ...


class RemoteCache:
    """One cache that lies elsewhere. Any thread may call."""

    def __init__(self, source: Source, found: Found, bringing: Bringing, report: Report, end: Cancellation) -> None:
        self._source = source
        self._found = dict(found)
        self._bringing = bringing
        self._report = report
        self._end = end

    def __len__(self) -> int:
        return len(self._found)

    def offer(self, key: Key) -> Record | None:
        """See `session.Import`."""
        found = self._found.get(key)
        if found is None:
            return None
        pairs = zip(found.blobs, found.diff_ids, strict=True)
        layers = tuple(LayerRecord(blob.digest, diff_id, blob.size) for blob, diff_id in pairs)
        return Record(layers=layers, own=found.own, created=found.created, used=0)

    def fetch(self, key: Key, lease: Lease) -> Entry | None:
        """See `session.Import`. A layer that cannot be had is a miss, and the rest of this cache is not asked for it again."""
        layers = self._found.get(key)
        if layers is None:
            return None
        for blob in layers.blobs:
            lease.take(parse_digest(blob.digest))
        try:
            brought = self._bringing.bring(self._source, layers.blobs, layers.diff_ids, lease, self._report, self._end)
        except (SampanError, OSError) as error:
            _log.warning("the build cache in %s/%s: %s", self._source.domain, self._source.path, error)
            self._found.pop(key, None)
            return None
        return Entry(layers=tuple(brought), own=layers.own)


class ImageCache:
    """The inline cache of an image that is here. Its layers need not be brought."""

    def __init__(self, catalog: Catalog, found: Found, layers: Sequence[LayerRecord]) -> None:
        """`layers` of the image, the lowest first: a stack of `found` is a beginning of them."""
        self._catalog = catalog
        self._found = found
        self._layers = tuple(layers)

    def offer(self, key: Key) -> Record | None:
        """See `session.Import`."""
        found = self._found.get(key)
        if found is None:
            return None
        return Record(layers=self._layers[: len(found.blobs)], own=found.own, created=found.created, used=0)

    def fetch(self, key: Key, lease: Lease) -> Entry | None:
        """See `session.Import`."""
        entry = self.offer(key)
        if entry is None:
            return None
        with self._catalog.lock:
            here = [lease.keep_layer(chain) for chain in entry.chains]
            return entry if all([*here, *(lease.keep_blob(parse_digest(one.blob)) for one in entry.layers)]) else None


class Imports:
    """Opens what a build was told to take from. For one build; a context manager, at whose end directories are let go of."""

    def __init__(
        self,
        catalog: Catalog,
        bringing: Bringing,
        repositories: Repositories,
        credentials: CredentialsOf,
        report: Report,
        end: Cancellation,
        *,
        here_only: bool = False,
        stores: Mapping[str, Source] = {},
    ) -> None:
        """`here_only`: an image is not asked for in its registry. `stores` of the client, by name."""
        self._here_only = here_only
        self._stores = stores
        self._catalog = catalog
        self._bringing = bringing
        self._repositories = repositories
        self._credentials = credentials
        self._report = report
        self._end = end
        self._layouts = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._layouts.close()

    def open(self, option: Option) -> RemoteCache | ImageCache:
        """Read what lies there. Blocks. Raises InvalidParameter for the option; NotFound, System for what cannot be had.

        A build goes on without a cache that cannot be had: the caller tells.
        """
        attributes = dict(option.attributes)
        found: RemoteCache | ImageCache
        match option.type:
            case "local":
                found = self._local(attributes)
            case "client":
                found = self._kept(self._store(attributes.pop("store", "")), attributes.pop("digest", ""))
            case "registry" | "image":
                found = self._named(attributes, here_first=option.type == "image")
            case _ if option.type in ELSEWHERE:
                raise NotImplementedHere(
                    f"not implemented by Sampan yet: --cache-from type={option.type}; use type=registry or type=local"
                )
            case _:
                raise InvalidParameter(f"unknown cache importer: {option.type!r}: it is one of registry, local")
        if attributes:
            raise InvalidParameter(f"cache-from {option.type}: unknown attribute {', '.join(sorted(attributes))}")
        return found

    def _local(self, attributes: dict[str, str]) -> RemoteCache:
        path = attributes.pop("src", "")
        if not path:
            raise InvalidParameter("local cache importer requires src")
        tag = attributes.pop("digest", "") or attributes.pop("tag", "latest")
        layout = Layout(path)
        self._layouts.callback(layout.close)
        return self._kept(layout, tag)

    def _store(self, name: str) -> Source:
        if name not in self._stores:
            raise InvalidParameter(f"unknown cache importer: 'client': the request has no store {name!r}")
        return self._stores[name]

    def _kept(self, source: Source, reference: str) -> RemoteCache:
        try:
            found = find(source, source.resolve(reference))
        except InvalidParameter as error:
            # It is not the request that is wrong.
            raise System(str(error)) from error
        return RemoteCache(source, found, self._bringing, self._report, self._end)

    def _named(self, attributes: dict[str, str], *, here_first: bool) -> RemoteCache | ImageCache:
        text = attributes.pop("ref", "")
        if not text:
            raise InvalidParameter("registry cache importer requires ref")
        reference = parse_reference(text).with_default_tag()
        if here_first and (image := self._catalog.by_reference(reference)) is not None:
            config, layers = self._catalog.config(image), self._catalog.record(image).layers
            inline = read_inline(config.build_cache, *_as_they_are(layers)) if config.build_cache else {}
            return ImageCache(self._catalog, inline, layers)
        if here_first and self._here_only:
            raise NotFound(f"no image {reference.familiar} is here")
        source = self._source(reference)
        return self._kept(source, reference.digest or reference.tag or "")

    def _source(self, reference: Reference) -> Source:
        return self._repositories.pulling(reference.domain, reference.path, self._credentials(reference.domain))


def _as_they_are(layers: Sequence[LayerRecord]) -> tuple[list[Descriptor], list[str]]:
    return [Descriptor("", layer.blob, layer.size) for layer in layers], [layer.diff_id for layer in layers]
