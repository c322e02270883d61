"""Images: inspect, list, history, and the lines of progress that load, import and pull send."""

from sampan.spec.containers import DriverData
from sampan.spec.document import Command, Document, Int64, Keys, Names, Pairs, sent, wire
from sampan.spec.health import HealthConfig
from sampan.spec.oci_descriptor import Descriptor, Platform


class ImageConfig(Document, frozen=True):
    """What an image says about the containers made from it.

    From `hostname` on: members that mean nothing for an image; `api` fills them for clients below 1.50.
    """

    user: str = sent("")
    exposed_ports: Keys | None = None
    env: Names | None = sent(None)
    cmd: Command = sent(None)
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    volumes: Keys | None = sent(None)
    working_dir: str = sent("")
    entrypoint: Command = sent(None)
    on_build: Names | None = sent(None)
    labels: Pairs | None = sent(None)
    stop_signal: str = ""
    shell: Command = None
    hostname: str | None = None
    domainname: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    image: str | None = None


class RootFS(Document, frozen=True):
    """The layers by diff id, lowest first."""

    type: str = sent("layers")
    layers: Names | None = None


class ImageMetadata(Document, frozen=True):
    """What this daemon noted about an image."""

    last_tag_time: str = sent("0001-01-01T00:00:00Z")


class ManifestSize(Document, frozen=True):
    """Bytes of a manifest's content."""

    total: Int64 = sent(0)
    content: Int64 = sent(0)


class UnpackedSize(Document, frozen=True):
    """Bytes of an unpacked image."""

    unpacked: Int64 = sent(0)


class ImageData(Document, frozen=True):
    """What an image manifest stands for."""

    platform: Platform = sent(Platform())
    containers: Names = sent(())
    size: UnpackedSize = sent(UnpackedSize())


class AttestationData(Document, frozen=True, rename=wire(for_="For")):
    """The manifest that an attestation speaks of."""

    for_: str = sent("")


class ImageManifestSummary(Document, frozen=True, rename=wire(id="ID")):
    """One manifest of an image index."""

    id: str
    descriptor: Descriptor = sent(Descriptor())
    available: bool = sent(False)
    size: ManifestSize = sent(ManifestSize())
    kind: str = sent("image")
    image_data: ImageData | None = None
    attestation_data: AttestationData | None = None


class ImageInspect(Document, frozen=True, rename=wire(root_fs="RootFS")):
    """Answer of GET /images/{name}/json. `virtual_size` is filled by `api` for clients below 1.44."""

    id: str
    repo_tags: Names = sent(())
    repo_digests: Names = sent(())
    parent: str = sent("")
    comment: str = sent("")
    created: str = ""
    docker_version: str = sent("")
    author: str = sent("")
    config: ImageConfig | None = sent(ImageConfig())
    architecture: str = sent("")
    variant: str = ""
    os: str = sent("")
    os_version: str = ""
    size: Int64 = sent(0)
    virtual_size: Int64 | None = None
    graph_driver: DriverData = sent(DriverData())
    root_fs: RootFS = sent(RootFS())
    metadata: ImageMetadata = sent(ImageMetadata())
    descriptor: Descriptor | None = None
    manifests: tuple[ImageManifestSummary, ...] | None = None


class ImageSummary(Document, frozen=True):
    """One line of GET /images/json; -1 stands for "not counted". `created` in seconds since the epoch."""

    id: str
    containers: Int64 = sent(-1)
    created: Int64 = sent(0)
    labels: Pairs | None = sent(None)
    parent_id: str = sent("")
    descriptor: Descriptor | None = None
    manifests: tuple[ImageManifestSummary, ...] | None = None
    repo_digests: Names = sent(())
    repo_tags: Names = sent(())
    shared_size: Int64 = sent(-1)
    size: Int64 = sent(0)
    virtual_size: Int64 | None = None


class HistoryItem(Document, frozen=True):
    """One step of an image's history, newest first; `id` is `<missing>` where no image is known for it."""

    comment: str = sent("")
    created: Int64 = sent(0)
    created_by: str = sent("")
    id: str = sent("<missing>")
    size: Int64 = sent(0)
    tags: Names | None = sent(None)


class DeleteItem(Document, frozen=True):
    """One thing that a removal did: a name taken away, or an image or layer deleted."""

    untagged: str = ""
    deleted: str = ""


class ImagesPruneReport(Document, frozen=True):
    """What a prune removed, and the bytes that freed."""

    images_deleted: tuple[DeleteItem, ...] | None = sent(None)
    space_reclaimed: int = sent(0)


class ProgressDetail(Document, frozen=True, rename=None):
    """How far a transfer is, in bytes."""

    current: Int64 = 0
    total: Int64 = 0


class ErrorDetail(Document, frozen=True, rename=None):
    """Why a stream of progress ended."""

    code: int = 0
    message: str = ""


class PushResult(Document, frozen=True):
    """What a push left in the registry."""

    tag: str = ""
    digest: str = ""
    size: Int64 = 0


class Progress(Document, frozen=True, rename="camel"):
    """One line of the stream that load, import, pull and push send. `stream` is text to print as it is."""

    stream: str = ""
    status: str = ""
    progress_detail: ProgressDetail | None = None
    progress: str = ""
    id: str = ""
    error_detail: ErrorDetail | None = None
    error: str = ""
    aux: PushResult | None = None
