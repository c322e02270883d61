"""Mounts: as a request describes them (`Mount`) and as a container reports them (`MountPoint`)."""

from sampan.spec.document import Document, Int64, Names, Pairs, sent, wire


class BindOptions(Document, frozen=True):
    """Only for type bind. `propagation` is [r]private, [r]shared or [r]slave."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriverConfig(Document, frozen=True):
    """The driver a volume is made with, where it does not exist yet."""

    name: str = ""
    options: Pairs | None = None


class VolumeOptions(Document, frozen=True):
    """Only for type volume. `subpath` is relative, without any `..`."""

    no_copy: bool = False
    labels: Pairs | None = None
    driver_config: VolumeDriverConfig | None = None
    subpath: str = ""


class ImageOptions(Document, frozen=True):
    """Only for type image."""

    subpath: str = ""


class TmpfsOptions(Document, frozen=True):
    """Only for type tmpfs. `mode` is a plain number (493 is 0755); `options` are lists of one or two words."""

    size_bytes: Int64 = 0
    mode: Int64 = 0
    options: tuple[Names, ...] | None = None


class Mount(Document, frozen=True):
    """One `--mount`. `type` is bind, cluster, image, npipe, tmpfs or volume."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class MountPoint(Document, frozen=True, rename=wire(rw="RW")):
    """A mount as inspect and list show it."""

    type: str = ""
    name: str = ""
    source: str = sent("")
    destination: str = sent("")
    driver: str = ""
    mode: str = sent("")
    rw: bool = sent(False)
    propagation: str = sent("")
