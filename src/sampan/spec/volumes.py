"""Volumes."""

from typing import Any

from sampan.spec.document import Document, Int64, Names, Pairs, sent


class UsageData(Document, frozen=True):
    """Bytes and users of a volume; -1 is unknown."""

    size: Int64 = sent(-1)
    ref_count: Int64 = sent(-1)


class Volume(Document, frozen=True):
    """A volume. `created_at` is RFC 3339, `mountpoint` a path on the host, `labels` and `options` null where none were given.

    `status` is what a plugin tells of it, of any form.
    """

    created_at: str = ""
    driver: str = sent("local")
    labels: Pairs | None = sent(None)
    mountpoint: str = sent("")
    name: str = sent("")
    options: Pairs | None = sent(None)
    scope: str = sent("local")
    status: dict[str, Any] | None = None
    usage_data: UsageData | None = None


class VolumeCreateRequest(Document, frozen=True):
    """Body of POST /volumes/create. An empty name asks for a random one."""

    name: str = ""
    driver: str = ""
    driver_opts: Pairs | None = None
    labels: Pairs | None = None


class VolumeList(Document, frozen=True):
    """Answer of GET /volumes."""

    volumes: tuple[Volume, ...] = sent(())
    warnings: Names | None = sent(None)


class VolumesPruneReport(Document, frozen=True):
    """What a prune removed, and the bytes that freed."""

    volumes_deleted: Names | None = sent(())
    space_reclaimed: int = sent(0)
