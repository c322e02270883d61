"""The image at the end: its configuration document, with a history that counts as many layers as there are."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from sampan.build.history import COMMENT
from sampan.build.operations import Entry, Metadata
from sampan.images.platforms import machine_architecture
from sampan.spec.oci_image import History, Image, ImageConfig, Platform, RootFs

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def moment(nanoseconds: int) -> str:
    """As a configuration writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


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
