"""The image at the end: its configuration document, with a history that counts as many layers as there are."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from sampan.build.history import COMMENT
from sampan.build.operations import Entry, Graph, Metadata, Place, Target
from sampan.build.schedule import Schedule
from sampan.images.catalog import LayerRecord
from sampan.images.platforms import machine_architecture
from sampan.spec.oci_image import History, Image, ImageConfig, Platform, RootFs

_NANO = 1_000_000_000
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def moment(nanoseconds: int) -> str:
    """As a configuration writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def image_of(
    clock: int | None,
    graph: Graph,
    target: Target,
    base: Image | None,
    schedule: Schedule,
    layers: Sequence[LayerRecord],
) -> Image:
    """The image of a target whose tree is there."""
    metadata = graph.vertices[target.result].operation
    assert isinstance(metadata, Metadata)
    at = clock * _NANO if clock is not None else None
    created = schedule.image_created(target.result, layers) if at is None else at
    bottom = len((base.rootfs.diff_ids if base and base.rootfs else None) or ())
    times = [_layer_time(graph, schedule, entry.tree, bottom) for entry in target.history]
    if at is not None:
        times = [time and at for time in times]
    history = told(target.history, times, created)
    diff_ids = [layer.diff_id for layer in layers]
    return image_document(metadata, base, target.platform, diff_ids, history, moment(created))


def _layer_time(graph: Graph, schedule: Schedule, place: Place | None, bottom: int) -> int | None:
    """When the layer of an instruction was made; None for one that has none. `bottom`: how many layers the base has."""
    if place is None:
        return None
    below = graph.vertices[place].inputs[0]
    depth = schedule.depth(below) if graph.vertices[below].inputs else bottom
    return schedule.created(place) if schedule.depth(place) > depth else None


def told(entries: Sequence[Entry], layered: Sequence[int | None], created_ns: int) -> list[History]:
    """The history of what the Dockerfile added. `layered`: for each entry when its layer was made, None where it has none."""
    return [
        History(
            created=moment(created_ns if at is None else at),
            created_by=entry.text,
            comment=COMMENT,
            empty_layer=at is None,
        )
        for entry, at in zip(entries, layered, strict=True)
    ]


def image_document(
    metadata: Metadata,
    base: Image | None,
    target: Platform,
    diff_ids: Sequence[str],
    history: Sequence[History],
    at: str,
) -> Image:
    """The document of the image. `base` None: it stands on nothing. `at`: when it was made."""
    below = base or _of_nothing(target)
    return Image(
        architecture=below.architecture or machine_architecture(),
        variant=below.variant,
        os=below.os or "linux",
        os_version=below.os_version,
        os_features=below.os_features,
        config=_completed(metadata.config, base is None),
        rootfs=RootFs(diff_ids=list(diff_ids)),
        history=[*(below.history or ()), *history],
        created=at,
        author=metadata.author or below.author,
    )


def _of_nothing(target: Platform) -> Image:
    # Docker names no variant of amd64: it is what the processor can do, not what the files need.
    architecture = target.architecture or machine_architecture()
    return Image(architecture, target.os or "linux", variant="" if architecture == "amd64" else target.variant)


def _completed(config: ImageConfig, alone: bool) -> ImageConfig:
    """With what BuildKit adds to an image that stands on nothing (`alone`): where programs are, and where they begin."""
    if not alone:
        return config
    env = list(config.env or ())
    if not any(entry.startswith("PATH=") for entry in env):
        env.insert(0, _DEFAULT_PATH)
    return msgspec.structs.replace(config, env=env, working_dir=config.working_dir or "/")
