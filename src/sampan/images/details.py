"""What `inspect`, `images` and `history` tell of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sampan.errors import InvalidParameter
from sampan.images.catalog import Catalog
from sampan.images.ledger import Facts
from sampan.images.platforms import machine_architecture
from sampan.images.references import matches
from sampan.images.times import epoch_of
from sampan.snapshots.protocol import LayerNotFound
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Image, ImageConfig


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """An image as `inspect` shows it. `created` as the configuration writes it, "" where it does not say."""

    id: ImageId
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    parent: str
    comment: str
    created: str
    docker_version: str
    author: str
    config: ImageConfig
    architecture: str
    variant: str
    os: str
    os_version: str
    size: int
    driver: str
    driver_data: Mapping[str, str]
    diff_ids: tuple[str, ...]
    last_tagged_ns: int
    """0 where it was never tagged here"""


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """An image as a list shows it. `created` in seconds since the epoch."""

    id: ImageId
    parent: str
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    created: int
    size: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One line of `history`, the newest first. `id` is `<missing>` where the layer is no image here."""

    id: str
    created: int
    created_by: str
    tags: tuple[str, ...]
    size: int
    comment: str


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What a list is narrowed to. Within one kind any value fits, between kinds all must; `labels` must all fit.

    `not_labels` is prune's `label!`. `until` in nanoseconds since the epoch: only what was created before. An image that
    does not say when it was created is neither before nor since anything.
    """

    references: Sequence[str] = ()
    labels: Sequence[str] = ()
    not_labels: Sequence[str] = ()
    before: Sequence[str] = ()
    since: Sequence[str] = ()
    dangling: bool | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _Names:
    tags: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


LIST_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})


def parse_filters(
    filters: Mapping[str, Sequence[str]], known: frozenset[str] = LIST_FILTERS, now: datetime | None = None
) -> ListFilter:
    """The filters of an API request (name to values). Raises InvalidParameter in Docker's words."""
    for name in filters:
        if name not in known:
            raise InvalidParameter(f"invalid filter '{name}'")
    dangling: bool | None = None
    if values := filters.get("dangling"):
        truths = {"1": True, "true": True, "True": True, "0": False, "false": False, "False": False}
        if len(set(values)) != 1 or values[0] not in truths:
            raise InvalidParameter(f"invalid filter 'dangling=[{' '.join(values)}]'")
        dangling = truths[values[0]]
    until: int | None = None
    if values := filters.get("until"):
        if len(values) > 1 and known == PRUNE_FILTERS:
            raise InvalidParameter("more than one until filter specified")
        until = min(epoch_of(value, now or datetime.now(UTC)) for value in values)
    return ListFilter(
        tuple(filters.get("reference", ())),
        tuple(filters.get("label", ())),
        tuple(filters.get("label!", ())),
        tuple(filters.get("before", ())),
        tuple(filters.get("since", ())),
        dangling,
        until,
    )


def list_images(catalog: Catalog, wanted: ListFilter, every: bool = False) -> tuple[ImageSummary, ...]:
    """The images that fit, the newest first. `every` shows unnamed parents of other images, too. Raises NoSuchImage."""
    before = min(_created(catalog, wanted.before), default=None)
    since = max(_created(catalog, wanted.since), default=None)
    if wanted.until_ns is not None:
        before = wanted.until_ns if before is None else min(before, wanted.until_ns)
    names = _names(catalog, wanted.references)
    result = []
    for image in catalog.images():
        facts = catalog.ledger.facts(image)
        if facts is None:
            continue  # removed a moment ago
        created, labels = facts.created, facts.labels
        if before is not None and (created is None or created >= before):
            continue
        if since is not None and (created is None or created <= since):
            continue
        if not all(_has_label(labels, label) for label in wanted.labels):
            continue
        if any(_has_label(labels, label) for label in wanted.not_labels):
            continue
        named = names.get(image, _Names())
        if not _shown(named, wanted, is_parent=bool(catalog.children(image)) and not (every and not wanted.dangling)):
            continue
        result.append(_summary(image, named, facts))
    return tuple(sorted(result, key=lambda summary: summary.created, reverse=True))


def _created(catalog: Catalog, texts: Sequence[str]) -> list[int]:
    """When those of the images were made that say so. The epoch is a date like any other: reproducible builds write it."""
    found = (catalog.facts(catalog.find(text)).created for text in texts)
    return [created for created in found if created is not None]


def _shown(named: _Names, wanted: ListFilter, is_parent: bool) -> bool:
    if named.tags or named.digests:
        return not (wanted.dangling and named.tags)
    return not is_parent and wanted.dangling is not False and not wanted.references


def _names(catalog: Catalog, patterns: Sequence[str]) -> dict[ImageId, _Names]:
    result: dict[ImageId, _Names] = {}
    for reference, image in catalog.references():
        if patterns and not any(matches(pattern, reference) for pattern in patterns):
            continue
        named = result.setdefault(image, _Names())
        (named.tags if reference.digest is None else named.digests).append(reference.familiar)
    return result


def _summary(image: ImageId, named: _Names, facts: Facts) -> ImageSummary:
    seconds = facts.created // 1_000_000_000 if facts.created else 0
    return ImageSummary(image, facts.parent, tuple(named.tags), tuple(named.digests), seconds, facts.size, facts.labels)


def shared_sizes(catalog: Catalog) -> Mapping[ImageId, int]:
    """For each image the bytes of those of its layers that more than one image has."""
    sizes = {layer.chain: layer.size for layer in catalog.snapshots.layers()}
    users = catalog.ledger.users
    return {
        image: sum(sizes.get(chain, 0) for chain in catalog.chains(image) if users(chain) > 1)
        for image in catalog.images()
    }


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def inspect_image(catalog: Catalog, image: ImageId) -> ImageDetails:
    """Everything about one image."""
    config, record = catalog.config(image), catalog.record(image)
    names = catalog.references_of(image)
    return ImageDetails(
        id=image,
        repo_tags=tuple(name.familiar for name in names if name.digest is None),
        repo_digests=tuple(name.familiar for name in names if name.digest is not None),
        parent=record.parent,
        comment=config.comment or _last_comment(config),
        created=config.created or "",
        docker_version=config.docker_version,
        author=config.author,
        config=config.config or ImageConfig(),
        architecture=config.architecture or machine_architecture(),
        variant=config.variant,
        os=config.os or "linux",
        os_version=config.os_version,
        size=catalog.size(image),
        driver=catalog.snapshots.name,
        driver_data=_driver_data(catalog, image),
        diff_ids=tuple((config.rootfs.diff_ids if config.rootfs else None) or ()),
        last_tagged_ns=record.tagged,
    )


def _last_comment(config: Image) -> str:
    return config.history[-1].comment if config.history else ""


_WITH_UPPER = ("overlay2", "fuse-overlayfs")


def _driver_data(catalog: Catalog, image: ImageId) -> Mapping[str, str]:
    chain = catalog.chain(image)
    if chain is None or catalog.snapshots.name not in _WITH_UPPER:
        return {}
    first, *others = catalog.snapshots.layer_directories(chain)
    data = {"UpperDir": first, "MergedDir": "", "WorkDir": ""}
    return {"LowerDir": ":".join(others), **data} if others else data


def history(catalog: Catalog, image: ImageId) -> tuple[HistoryItem, ...]:
    """How the image came to be, the newest step first."""
    config = catalog.config(image)
    chains = list(catalog.chains(image))
    items: list[HistoryItem] = []
    for step in config.history or ():
        size = 0
        if not step.empty_layer and chains:
            try:
                size = catalog.snapshots.layer(chains.pop(0)).size
            except LayerNotFound:
                size = 0  # the machine's own root: none of the stored layers
        created = _seconds(step.created)
        items.append(HistoryItem("<missing>", created, step.created_by, (), size, step.comment))
    items.reverse()
    return tuple(_identified(catalog, image, items))


def _identified(catalog: Catalog, image: ImageId, items: list[HistoryItem]) -> list[HistoryItem]:
    """The ids and tags of those steps that are images here: the image, and the parents it was made from."""
    result = []
    current = str(image)
    for item in items:
        if current and catalog.has(ImageId(current)):
            names = catalog.references_of(ImageId(current))
            tags = tuple(name.familiar for name in names if name.digest is None)
            result.append(HistoryItem(current, item.created, item.created_by, tags, item.size, item.comment))
            current = catalog.record(ImageId(current)).parent
        else:
            result.append(item)
            current = ""
    return result


def _seconds(text: str | None) -> int:
    if not text:
        return 0
    try:
        return epoch_of(text, datetime.now(UTC)) // 1_000_000_000
    except InvalidParameter:
        return 0
