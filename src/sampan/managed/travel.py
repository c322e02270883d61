"""Plugins to and from registries: the way of an image, with another kind of configuration and a root that is unpacked by itself.

    manifest ─▶ configuration ─▶ the rights that were granted? ─▶ layers, downloaded ─▶ unpacked in order ─▶ Brought

In threads; what is reported is told as Docker tells it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sampan.content.partial import DigestMismatch
from sampan.errors import InvalidParameter, System
from sampan.images.downloads import Downloads
from sampan.images.manifests import Followed, follow
from sampan.images.platforms import parse_platform
from sampan.images.policy import Policy
from sampan.images.references import Reference, short_id
from sampan.images.signatures import check
from sampan.images.steps import Cancellation, Meter, PushResult, Report, Step
from sampan.managed import configuration
from sampan.managed.catalog import Record
from sampan.managed.shelf import Shelf
from sampan.registry.protocol import Credentials, Repository, Source
from sampan.registry.registries import RemoteRegistries
from sampan.spec.document import encode
from sampan.spec.ids import Digest, parse_digest
from sampan.spec.oci_image import DOCKER_LAYER, DOCKER_MANIFEST, MANIFEST_LIMIT
from sampan.spec.plugins import PluginConfig

_RESOURCE = "repository(plugin)"
"""What a token for a plugin's repository is asked for: on Docker Hub it is no image's."""
_LAYERS = 128


@dataclass(frozen=True, slots=True)
class Brought:
    """A plugin that is here: its root in a directory of the shelf that nobody has taken yet."""

    config: PluginConfig
    configuration: Digest
    manifest: Digest
    media_type: str
    layers: tuple[Digest, ...]
    root: Path


class Travel:
    """Brings and sends plugins for one daemon. Any thread may call."""

    def __init__(
        self, shelf: Shelf, registries: RemoteRegistries, downloads: Downloads, policy: Callable[[], Policy | None]
    ) -> None:
        self._shelf = shelf
        self._registries = registries
        self._downloads = downloads
        self._policy = policy

    def look(self, reference: Reference, credentials: Credentials) -> PluginConfig:
        """The configuration of a plugin in a registry: what it would ask for. Raises SampanError of the registry."""
        source = self._source(reference, credentials)
        return self._config(source, self._followed(source, reference), reference)

    def bring(
        self,
        reference: Reference,
        credentials: Credentials,
        granted: Callable[[PluginConfig], None],
        report: Report,
        end: Cancellation,
    ) -> Brought:
        """Have it here. `granted` raises where other rights were granted than it asks for: before a layer is downloaded.

        Raises SampanError, OSError; Cancelled. Then nothing of its root is left.
        """
        source = self._source(reference, credentials)
        followed = self._followed(source, reference)
        last = followed.way[-1]
        told = reference.tag or str(reference)
        report(Step(f"Pulling from {reference.familiar_name}", told, plain=True))
        report(Step(f"Digest: {last.digest}", plain=True))
        policy = self._policy()
        if policy is not None:
            check(policy, source, reference, [followed.way[0].digest, last.digest])
        config = self._config(source, followed, reference)
        granted(config)
        self._shelf.content.put(last.data)
        root = self._root(source, followed, report, end)
        return Brought(
            config=config,
            configuration=parse_digest(followed.config.digest),
            manifest=parse_digest(last.digest),
            media_type=last.media_type,
            layers=tuple(parse_digest(layer.digest) for layer in followed.layers),
            root=root,
        )

    def _source(self, reference: Reference, credentials: Credentials) -> Source:
        return self._registries.pulling(reference.domain, reference.path, credentials, _RESOURCE)

    def _followed(self, source: Source, reference: Reference) -> Followed:
        first = source.resolve(reference.digest or reference.tag or "")
        if reference.digest is not None and first.digest != reference.digest:
            raise InvalidParameter(f"manifest verification failed for digest {reference.digest}")
        data = source.manifest(first)
        return follow(source, first, data, reference, parse_platform(""), "this machine")

    def _config(self, source: Source, followed: Followed, reference: Reference) -> PluginConfig:
        described = followed.config
        if described.media_type != configuration.MEDIA_TYPE:
            raise System(f"did not find plugin config for specified reference {reference}")
        if len(followed.layers) > _LAYERS:
            raise InvalidParameter(f"the plugin has more than {_LAYERS} layers")
        content, digest = self._shelf.content, parse_digest(described.digest)
        try:
            if not content.has(digest):
                with source.blob(described) as stream:
                    content.ingest(stream.read, configuration.LIMIT, digest)
        except DigestMismatch as error:
            raise InvalidParameter(f"plugin config verification failed for digest {digest}") from error
        return configuration.read(content.read(digest, configuration.LIMIT))

    def _root(self, source: Source, followed: Followed, report: Report, end: Cancellation) -> Path:
        with ExitStack() as stack:
            watches = []
            for layer in followed.layers:
                report(Step("Pulling fs layer", short_id(layer.digest)))
                watch = self._downloads.begin(source, layer, report)
                stack.callback(watch.release)
                watches.append(watch)
            root = self._shelf.fresh()
            try:
                for layer, watch in zip(followed.layers, watches, strict=True):
                    self._downloads.wait(watch, end)
                    report(Step("Extracting", short_id(layer.digest)))
                    self._shelf.fill(root, parse_digest(layer.digest))
                    report(Step("Complete", short_id(layer.digest)))
                    end.check()
            except BaseException:
                self._shelf.drop(root)
                raise
        return root

    def send(
        self, record: Record, reference: Reference, credentials: Credentials, report: Report, end: Cancellation
    ) -> None:
        """Send a plugin to its registry: blobs first, the manifest under its tag last. Raises SampanError; Cancelled."""
        report(Step(f"The push refers to repository [{reference.familiar_name}]", plain=True))
        repository = self._registries.pushing(reference.domain, reference.path, credentials, _RESOURCE)
        parts = (record.configuration, *dict.fromkeys(record.layers))
        for digest in parts:
            report(Step("Preparing", short_id(digest)))
        for digest in parts:
            end.check()
            self._send(repository, digest, report)
        data = self._shelf.content.read(record.manifest, MANIFEST_LIMIT)
        tag = reference.tag or "latest"
        digest = repository.put_manifest(tag, record.media_type, data)
        report(Step(f"{tag}: digest: {digest} size: {len(data)}", plain=True))
        report(Step("", result=PushResult(tag, digest, len(data))))

    def _send(self, repository: Repository, digest: Digest, report: Report) -> None:
        content, name = self._shelf.content, short_id(digest)
        if repository.has_blob(digest):
            report(Step("Layer already exists", name))
            return
        size = content.size(digest)
        meter = Meter(report, "Pushing", name, size)

        def reader(offset: int) -> BinaryIO:
            stream = content.open(digest)
            stream.seek(offset)
            return stream

        repository.upload(digest, size, reader, meter)
        report(Step("Upload complete", name))


def manifest_of(configuration_size: int, configuration_digest: Digest, layers: Sequence[tuple[Digest, int]]) -> bytes:
    """The manifest of a plugin that was made here: Docker's kind, the only one that every registry takes for plugins."""
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {
            "mediaType": configuration.MEDIA_TYPE,
            "size": configuration_size,
            "digest": configuration_digest,
        },
        "layers": [{"mediaType": DOCKER_LAYER, "size": size, "digest": digest} for digest, size in layers],
    }
    return encode(document)
