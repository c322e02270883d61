"""`pull`: an image from a registry, layers side by side, recorded when all of it is verified, unpacked and durable.

resolve ─▶ index ─▶ manifest ─▶ signature, where the policy asks for one ─▶ configuration
                          layers, downloaded and unpacked side by side (`bringing.py`)
                                             ▼
                           sync ─▶ record, names ─▶ event
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sampan.content.partial import DigestMismatch
from sampan.crashpoints import crash_point
from sampan.errors import Forbidden, InvalidParameter, SampanError, System
from sampan.images import host
from sampan.images.bringing import Bringing
from sampan.images.catalog import Catalog, LayerRecord, ManifestRecord
from sampan.images.leases import Lease
from sampan.images.manifests import Followed, follow
from sampan.images.platforms import fits, normalised, parse_platform, shown
from sampan.images.policy import Policy
from sampan.images.references import Reference, parse_tag
from sampan.images.signatures import check
from sampan.images.steps import Cancellation, Report, Step
from sampan.registry.protocol import Credentials, Repositories, Source
from sampan.spec.ids import DiffId, Digest, ImageId, parse_digest
from sampan.spec.oci_image import CONFIG_LIMIT, Descriptor, Image, Platform, decode_image

_TAGS_LIMIT = 100_000
_OF_OTHERS = {"application/vnd.docker.plugin.v1+json": "plugin"}
"""Configurations of what lies in registries as images do and is none, and what Docker calls it."""


@dataclass(frozen=True, slots=True)
class PullWish:
    """What to pull: one tag or digest, or all tags where `reference` has neither. `platform` "" is this machine's."""

    reference: Reference
    platform: str = ""
    credentials: Credentials = field(default_factory=Credentials)
    beside: bool = False
    """an image that has the name already keeps it; this one is found as its `sibling`"""


Pulled = Callable[[ImageId, Reference], None]
"""Hears of each image that is there now."""


class Puller:
    """Pulls images for one daemon. Any thread may call; two that pull the same layer share its download and its unpacking."""

    def __init__(
        self,
        catalog: Catalog,
        registries: Repositories,
        bringing: Bringing,
        pulled: Pulled,
        policy: Policy | None = None,
    ) -> None:
        self._catalog = catalog
        self._registries = registries
        self._bringing = bringing
        self._pulled = pulled
        self._policy = policy

    def pull(self, wish: PullWish, report: Report, end: Cancellation) -> ImageId | None:
        """Carry the wish out; the last image that was brought, None for a repository without tags.

        What was there before stays as it is until the new one is whole.

        Raises NotFound, Unauthorized, Forbidden, InvalidParameter, Unavailable, System in Docker's words; Cancelled.
        """
        reference = wish.reference
        if reference.familiar_name == "scratch":
            raise Forbidden("'scratch' is a reserved name")
        if self._catalog.is_reserved(reference.stored()):
            raise InvalidParameter(f"the name {reference.familiar} is reserved for this machine's own image")
        repository = self._registries.pulling(reference.domain, reference.path, wish.credentials)
        news = False
        image: ImageId | None = None
        for one in _each(repository, reference):
            end.check()
            image, new = _Pull(self._catalog, self._bringing, self._policy, repository, report, end).run(
                one, wish.platform, beside=wish.beside
            )
            news = news or new
            self._pulled(image, one)
        told = "Downloaded newer image for" if news else "Image is up to date for"
        report(Step(f"Status: {told} {reference.familiar}", plain=True))
        if repository.rate_limit.is_low:
            report(Step(f"WARNING: {reference.domain}: {repository.rate_limit}", plain=True))
        if wish.platform and image is not None:
            self._warn(reference, image, wish.platform, report)
        return image

    def bring(self, source: Source, digest: Digest, platform: str, report: Report, end: Cancellation) -> ImageId:
        """An image from wherever it lies, without a name: whoever wants it holds it, and takes it away.

        Raises as `pull` does. No policy is asked: what a client hands over itself is not signed for it.
        """
        reference = Reference(source.domain, source.path, None, digest)
        return _Pull(self._catalog, self._bringing, None, source, report, end).run(reference, platform, named=False)[0]

    def _warn(self, reference: Reference, image: ImageId, asked: str, report: Report) -> None:
        """One image alone in its repository is taken whatever it is for, as in Docker; whoever asked for another hears it."""
        config = self._catalog.config(image)
        own = Platform(config.architecture, config.os, variant=config.variant)
        if not fits(own, parse_platform(asked)):
            report(
                Step(
                    f"WARNING: image with reference {reference.familiar} was found but its platform ({shown(own)}) does not "
                    f"match the specified platform ({asked})",
                    plain=True,
                )
            )


def _each(repository: Source, reference: Reference) -> Iterator[Reference]:
    if not reference.is_name_only:
        yield reference
        return
    for number, tag in enumerate(repository.tags()):
        if number >= _TAGS_LIMIT:
            raise InvalidParameter(f"{reference.familiar} has more than {_TAGS_LIMIT} tags")
        yield Reference(reference.domain, reference.path, parse_tag(tag))


class _Pull:
    """One tag or digest."""

    def __init__(
        self,
        catalog: Catalog,
        bringing: Bringing,
        policy: Policy | None,
        repository: Source,
        report: Report,
        end: Cancellation,
    ) -> None:
        self._catalog = catalog
        self._content = catalog.content
        self._bringing = bringing
        self._policy = policy
        self._repository = repository
        self._report = report
        self._end = end

    def run(
        self, reference: Reference, platform: str, *, named: bool = True, beside: bool = False
    ) -> tuple[ImageId, bool]:
        """The image that the reference stands for now, and whether it stood for another one, or none, before.

        Without `named` it is there, and the reference stands for nothing.
        """
        first = self._repository.resolve(reference.digest or reference.tag or "")
        if reference.digest is not None and first.digest != reference.digest:
            raise InvalidParameter(f"manifest verification failed for digest {reference.digest}")
        data = self._repository.manifest(first)
        told = str(reference.stored()) if reference.digest is not None else reference.tag or ""
        self._report(Step(f"Pulling from {self._repository.path}", told, plain=True))
        wanted = parse_platform(platform)
        followed = follow(self._repository, first, data, reference, wanted, platform or _plain(wanted))
        if followed.config.media_type in _OF_OTHERS:
            kind = _OF_OTHERS[followed.config.media_type]
            raise InvalidParameter(f'Encountered remote "{followed.config.media_type}"({kind}) when fetching')
        if self._policy is not None:
            check(self._policy, self._repository, reference, [first.digest, followed.way[-1].digest])
        with self._catalog.lease() as lease:
            image = ImageId(parse_digest(followed.config.digest))
            self._take(lease, followed)
            there = self._catalog.hold_whole(lease, image)
            if there is not None:
                layers = there.layers
            else:
                config = self._config(followed.config)
                diff_ids = _diff_ids(config, len(followed.layers))
                layers = self._bringing.bring(
                    self._repository, followed.layers, diff_ids, lease, self._report, self._end
                )
            new = self._record(reference, first, image, followed, layers, named=named, beside=beside)
        return image, new

    def _take(self, lease: Lease, followed: Followed) -> None:
        for passed in followed.way:
            lease.take(passed.digest)
        for part in (followed.config, *followed.layers):
            lease.take(parse_digest(part.digest))

    def _config(self, described: Descriptor) -> Image:
        digest = parse_digest(described.digest)
        try:
            if described.size > CONFIG_LIMIT:
                raise InvalidParameter(f"it is larger than {CONFIG_LIMIT} bytes")
            if not self._content.has(digest):
                with self._repository.blob(described) as stream:
                    self._content.ingest(stream.read, CONFIG_LIMIT, digest)
        except DigestMismatch as error:
            raise InvalidParameter(
                f"error pulling image configuration: image config verification failed for digest {digest}"
            ) from error
        except SampanError as error:
            raise System(f"error pulling image configuration: {error}") from error
        return decode_image(self._content.read(digest, CONFIG_LIMIT))

    # ---- the end

    def _record(
        self,
        reference: Reference,
        first: Descriptor,
        image: ImageId,
        followed: Followed,
        layers: list[LayerRecord],
        *,
        named: bool,
        beside: bool,
    ) -> bool:
        content, catalog = self._content, self._catalog
        for passed in followed.way:
            content.put(passed.data)
        self._end.check()
        # The files before the record: it must not be there after a power cut without them.
        content.sync()
        catalog.snapshots.sync()
        crash_point("image-before-commit")
        digest = Digest(first.digest)
        exact = Reference(reference.domain, reference.path, None, digest)
        names = [exact] if reference.digest is not None else [exact, reference]
        self._report(Step(f"Digest: {digest}", plain=True))
        with catalog.lock:
            new = catalog.by_reference(reference) != image
            if beside:
                names = [name for name in names if catalog.by_reference(name) is None]
            if named:
                catalog.add(image, layers, names, manifests=self._manifests(followed))
            else:
                catalog.add(image, layers, [])
        crash_point("image-after-commit")
        return new

    def _manifests(self, followed: Followed) -> list[ManifestRecord]:
        repositories = [f"{self._repository.domain}/{self._repository.path}"]
        blobs = [layer.digest for layer in followed.layers]
        # An image that came in another way keeps the layers of that one; this manifest alone could then not be pushed.
        whole = all(self._content.has(Digest(blob)) for blob in blobs)
        last = len(followed.way) - 1
        return [
            ManifestRecord(passed.digest, passed.media_type, blobs if whole and number == last else [], repositories)
            for number, passed in enumerate(followed.way)
        ]


def _plain(platform: Platform) -> str:
    """This machine as messages call it: without what its processor can do beyond."""
    own = normalised(platform)
    return shown(Platform(own.architecture, own.os) if own.architecture == "amd64" else own)


def _diff_ids(config: Image, layers: int) -> list[DiffId]:
    if config.os not in ("", "linux"):
        raise InvalidParameter(
            f'image operating system "{config.os}" cannot be used on this platform: operating system is not supported'
        )
    if config.rootfs is None:
        raise InvalidParameter("invalid rootfs in image configuration")
    diff_ids = [DiffId(parse_digest(text)) for text in config.rootfs.diff_ids or ()]
    if len(diff_ids) != layers:
        raise InvalidParameter("layers from manifest don't match image configuration")
    if host.DIFF_ID in diff_ids:
        raise InvalidParameter("an image that stands on the image host cannot be pulled: it is a part of this machine")
    return diff_ids
