"""The images of one daemon: the one object that its use-cases speak to. Every method may be called from any thread."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from sampan.content.store import Content
from sampan.errors import Conflict, InvalidParameter, NotFound, NotImplementedHere, System, host_words
from sampan.files.trash import Freeing
from sampan.images import host
from sampan.images.bringing import Bringing
from sampan.images.catalog import Catalog, NoSuchImage
from sampan.images.check import Check
from sampan.images.collection import Keeper
from sampan.images.committing import CommitWish, commit_image
from sampan.images.details import (
    PRUNE_FILTERS,
    HistoryItem,
    ImageDetails,
    ImageSummary,
    ListFilter,
    history,
    inspect_image,
    list_images,
    parse_filters,
    shared_sizes,
)
from sampan.images.downloads import Downloads
from sampan.images.events import ImageAction, Notify, silent
from sampan.images.findings import Step
from sampan.images.host_layer import HostLayer
from sampan.images.importing import import_image
from sampan.images.lanes import Lanes
from sampan.images.loading import Loaded, LoadEvent, load
from sampan.images.making import Making, check_names, making
from sampan.images.platforms import fits, parse_platform, platform_of, shown
from sampan.images.policy import Policy
from sampan.images.pruning import Planned, carry_out, prune
from sampan.images.pulling import Puller, PullWish
from sampan.images.pushing import Pusher
from sampan.images.references import Reference, check_new, parse_reference, parse_tag
from sampan.images.removal import Removed, Remover, Users
from sampan.images.saving import choose_images, save
from sampan.images.steps import Cancellation, Report
from sampan.registry.protocol import Credentials, Repositories, Source
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.ids import ChainId, Digest, ImageId
from sampan.spec.oci_image import Image, ImageConfig
from sampan.state.store import Store


@dataclass(frozen=True, slots=True)
class Travel:
    """What pulling and pushing need: the registries, how many layers travel at once, and how often each is tried.

    `second` is how long a second of waiting before the next attempt takes. `policy` says what must be signed; None: nothing.
    """

    repositories: Repositories
    downloads: int = 3
    uploads: int = 5
    attempts: int = 5
    second: float = 1.0
    policy: Policy | None = None


class Images:
    """What there is, by Docker's names and rules. Answers come from memory; changes are durable when a method returns."""

    def __init__(
        self,
        store: Store,
        content: Content,
        snapshots: Snapshotter,
        notify: Notify = silent,
        host_layer: HostLayer | None = None,
        travel: Travel | None = None,
        keepers: Sequence[Keeper] = (),
        sweep: bool = True,
    ) -> None:
        """Open the records. What no image needs, nor any of the `keepers`, is deleted: an interrupted load's layers and blobs.

        With `sweep` false it stays. Without `host_layer` the image `host` is listed and no container can be made of it; without
        `travel` nothing is pulled or pushed.
        """
        if host_layer is not None:
            snapshots.borrow(host.CHAIN, host_layer.directories, host_layer.opened)
        self._catalog = Catalog(store, content, snapshots)
        self._catalog.keepers += keepers
        self._catalog.add_fixed(host.ID, host.CONFIG, host.REFERENCE)
        self._notify = notify
        self._pruning = threading.Lock()
        if sweep:
            self._catalog.sweep()
        self._travel = travel
        self._lanes: tuple[Lanes, ...] = ()
        if travel is not None:
            downloads = Downloads(content, travel.downloads, travel.attempts, travel.second)
            self._bringing = Bringing(self._catalog, downloads)
            pushed = partial(self._travelled, ImageAction.PUSH)
            self._pusher = Pusher(self._catalog, travel.repositories, travel.uploads, pushed, travel.second)
            self._puller = Puller(
                self._catalog,
                travel.repositories,
                self._bringing,
                partial(self._travelled, ImageAction.PULL),
                travel.policy,
            )
            self._lanes = (downloads.lanes, self._pusher.lanes)

    @property
    def catalog(self) -> Catalog:
        """The one catalog of this daemon, for rooms above that make images themselves and hold what is in the making."""
        return self._catalog

    @property
    def bringing(self) -> Bringing:
        """How layers come from a registry, for who brings more than images. Only where something travels at all."""
        return self._bringing

    def close(self) -> None:
        """End background work. What is still to be deleted goes at the next start."""
        self._catalog.content.close()

    def _tell(self, action: ImageAction, actor: ImageId | str, name: str, image: ImageId | None = None) -> None:
        facts = self._catalog.ledger.facts(image or ImageId(actor))
        self._notify(action, actor, name, facts.labels if facts is not None else {})

    def _travelled(self, action: ImageAction, image: ImageId, reference: Reference) -> None:
        """As Docker tells it: the actor is the name that was asked for."""
        self._tell(action, reference.familiar, reference.familiar_name, image)

    def let_travel(self, downloads: int, uploads: int) -> None:
        """Let so many layers of all pulls, and of all pushes, travel at once from now on."""
        for lanes, limit in zip(self._lanes, (downloads, uploads), strict=False):
            lanes.widen(limit)

    def resolve(self, text: str) -> ImageId:
        """The image that a user names. Raises NoSuchImage (NotFound), InvalidParameter."""
        return self._catalog.find(text)

    def document(self, image: ImageId) -> Image:
        """The whole configuration of an image that `resolve` gave. Raises NoSuchImage."""
        if not self._catalog.has(image):
            raise NoSuchImage(image)
        return self._catalog.config(image)

    def config(self, image: ImageId) -> ImageConfig:
        """Defaults for a container of the image. Raises NoSuchImage."""
        return self.document(image).config or ImageConfig()

    def chain(self, image: ImageId) -> ChainId | None:
        """What `Snapshotter.prepare` takes; None for an image without layers. Raises NoSuchImage."""
        return self._catalog.chain(image)

    def size(self, image: ImageId) -> int:
        """Bytes of the image's layers; what is no layer of ours (the machine's root) counts nothing. Raises NoSuchImage."""
        return self._catalog.size(image)

    def container_gone(self) -> None:
        """A container's writable layer was removed: layers whose image went before it go now."""
        self._catalog.container_gone()

    def shared_sizes(self) -> Mapping[ImageId, int]:
        """For each image the bytes of those of its layers that another image has, too."""
        return shared_sizes(self._catalog)

    def stands_on_host(self, image: ImageId) -> bool:
        """Whether the image is this machine's own root, or was made on top of it: it cannot leave the machine."""
        return host.CHAIN in self._catalog.chains(image)

    def familiar_names(self, image: ImageId) -> tuple[str, ...]:
        """The image's names as users write them, sorted; empty where it has none."""
        return tuple(reference.familiar for reference in self._catalog.references_of(image))

    def count(self) -> int:
        """How many images there are (`info`)."""
        return len(self._catalog.images())

    def list(self, wanted: ListFilter | None = None, every: bool = False) -> tuple[ImageSummary, ...]:
        """The images that fit, the newest first. Raises NoSuchImage for `before` and `since`."""
        return list_images(self._catalog, wanted or ListFilter(), every)

    def inspect(self, text: str) -> ImageDetails:
        """Everything about one image. Raises NoSuchImage, InvalidParameter."""
        return inspect_image(self._catalog, self._catalog.find(text))

    def history(self, text: str) -> tuple[HistoryItem, ...]:
        """How it came to be, the newest step first. Raises NoSuchImage, InvalidParameter."""
        return history(self._catalog, self._catalog.find(text))

    def tag(self, source: str, repository: str, tag: str = "") -> Reference:
        """Give an image one more name, taking it from another. Raises NoSuchImage, InvalidParameter."""
        image = self._catalog.find(source)
        reference = parse_reference(repository)
        if tag:
            reference = Reference(reference.domain, reference.path, parse_tag(tag))
        if reference.digest is not None:
            raise InvalidParameter("refusing to create a tag with a digest reference")
        reference = check_new(reference.with_default_tag())
        if self._catalog.is_reserved(reference):
            raise InvalidParameter(f"the name {reference.familiar} is reserved for this machine's own image")
        with self._catalog.lock:
            if not self._catalog.has(image):
                raise NoSuchImage(source)
            self._catalog.commit(self._catalog.set_reference(reference, image))
        self._tell(ImageAction.TAG, image, reference.familiar)
        return reference

    def remove(
        self, text: str, users: Users, force: bool = False, prune: bool = True, platform: str = ""
    ) -> Sequence[Removed]:
        """`rmi`: take a name or an image away, if it is for `platform`. `users` tells which containers use an image.

        Raises NoSuchImage, InvalidParameter, Conflict.
        """
        if platform:
            self.check_platform(text, platform)
        return Remover(self._catalog, users, self._notify).remove(text, force, prune)

    def check_platform(self, text: str, wanted: str) -> None:
        """Raises NotFound in Docker's words where the image is for another platform than `wanted` (os/architecture/variant)."""
        found = platform_of(self.document(self._catalog.find(text)))
        if not fits(found, parse_platform(wanted)):
            raise NotFound(
                f"image with reference {text} was found but its platform ({shown(found)}) "
                f"does not match the specified platform ({wanted})"
            )

    def prune(self, filters: Mapping[str, Sequence[str]], users: Users) -> tuple[Sequence[Removed], int]:
        """`image prune`: the images that no container uses, only unnamed ones unless `dangling=false`; and the bytes freed.

        Raises InvalidParameter for filters, Conflict while another prune runs.
        """
        if not self._pruning.acquire(blocking=False):
            raise Conflict("a prune operation is already running")
        try:
            removed, freed = prune(self._catalog, parse_filters(filters, PRUNE_FILTERS), users, self._notify)
            self._tell(ImageAction.PRUNE, "", str(freed))
            return removed, freed
        finally:
            self._pruning.release()

    def prune_planned(self, planned: Sequence[Planned], users: Users) -> tuple[Sequence[Planned], int]:
        """Remove what `pruning.forecast` gave, as far as it is as it was: what stays, and the bytes freed.

        Raises Conflict while a prune runs.
        """
        if not self._pruning.acquire(blocking=False):
            raise Conflict("a prune operation is already running")
        try:
            return carry_out(self._catalog, planned, users, self._notify)
        finally:
            self._pruning.release()

    def freeing(self) -> Freeing:
        """What of images and writable layers was removed and is still on the disk."""
        return self._catalog.content.trash.freeing() + self._catalog.snapshots.freeing()

    def check(self, users: Users, repair: bool) -> Iterator[Step]:
        """Look at every byte that images need, and at what nobody needs; see `check.Check`."""
        return Check(self._catalog, users, repair).run()

    def load(self, stream: BinaryIO, platform: str = "") -> Iterator[LoadEvent]:
        """Take an archive in; see `loading.load`."""
        with _host_trouble("load"):
            for event in load(self._catalog, stream, platform):
                if isinstance(event, Loaded):
                    self._tell(ImageAction.LOAD, event.image, event.image)
                yield event

    def import_(
        self,
        stream: BinaryIO,
        repository: str = "",
        tag: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> ImageId:
        """Make an image of a root file system's tar; see `importing.import_image`."""
        reference = _new_name(repository, tag)
        with _host_trouble("import"):
            image = import_image(self._catalog, stream, changes, message, reference, platform)
        if reference is not None:
            self._tell(ImageAction.TAG, image, reference.familiar)
        self._tell(ImageAction.IMPORT, image, image)
        return image

    def commit(
        self,
        difference: Iterator[bytes],
        wish: CommitWish,
        repository: str = "",
        tag: str = "",
        captured: Callable[[], None] = lambda: None,
    ) -> tuple[ImageId, str]:
        """Make an image of what a container changed; see `committing.commit_image`. Its id, and its name as users write it."""
        reference = _new_name(repository, tag)
        with _host_trouble("commit"):
            image = commit_image(self._catalog, difference, wish, reference, captured)
        name = reference.familiar if reference is not None else ""
        self._tell(ImageAction.CREATE, image, image)
        if name:
            self._tell(ImageAction.TAG, image, name)
        return image, name

    def checked_names(self, names: Sequence[str]) -> tuple[Reference, ...]:
        """The names that a new image is to have. Raises InvalidParameter."""
        found = tuple(reference for name in names if (reference := _new_name(name, "")) is not None)
        check_names(self._catalog, found)
        return found

    def making(self) -> AbstractContextManager[Making]:
        """To make an image layer by layer; see `making`."""
        return making(self._catalog)

    def made(self, image: ImageId, names: Sequence[Reference]) -> None:
        """Tell of an image that was made so."""
        self._tell(ImageAction.CREATE, image, image)
        for reference in names:
            self._tell(ImageAction.TAG, image, reference.familiar)

    def pull(self, wish: PullWish, report: Report, end: Cancellation) -> ImageId | None:
        """Bring images from a registry; see `pulling.Puller.pull`."""
        if self._travel is None:
            raise NotImplementedHere("there is no registry to pull from")
        with _host_trouble("pull"):
            return self._puller.pull(wish, report, end)

    def bring(self, source: Source, digest: Digest, platform: str, report: Report, end: Cancellation) -> ImageId:
        """Have an image from wherever it lies, without a name; see `pulling.Puller.bring`."""
        if self._travel is None:
            raise NotImplementedHere("there is nothing to bring images with")
        with _host_trouble("pull"):
            return self._puller.bring(source, digest, platform, report, end)

    def push(self, reference: Reference, credentials: Credentials, report: Report, end: Cancellation) -> None:
        """Send images to a registry; see `pushing.Pusher.push`."""
        if self._travel is None:
            raise NotImplementedHere("there is no registry to push to")
        with _host_trouble("push"):
            self._pusher.push(reference, credentials, report, end)

    def save(self, names: Sequence[str], platform: str = "") -> Iterator[bytes]:
        """An archive of the images, in pieces. What cannot be saved raises now, before the first piece is asked for.

        Raises NoSuchImage, NotFound, InvalidParameter; Forbidden for the image host and what stands on it.
        """
        chosen = choose_images(self._catalog, names, platform)
        for entry in chosen:
            self._tell(ImageAction.SAVE, entry.image, entry.image)
        return save(self._catalog, chosen)


def _new_name(repository: str, tag: str) -> Reference | None:
    """The name that a new image is to have; None where none was asked for. Raises InvalidParameter."""
    if not repository:
        return None
    reference = parse_reference(repository)
    if reference.digest is not None:
        raise InvalidParameter("cannot import digest reference")
    if tag:
        reference = Reference(reference.domain, reference.path, parse_tag(tag))
    return check_new(reference.with_default_tag())


@contextmanager
def _host_trouble(what: str) -> Iterator[None]:
    """A full or failing disk, as a sentence."""
    try:
        yield
    except OSError as error:
        raise System(f"cannot {what} the image: {host_words(error)}") from error
