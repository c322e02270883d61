"""`rmi` and `image prune`: Docker's rules about what may go, and its words about what may not.

A name goes first; the image goes with its last name. Conflicts are *hard* (a running container, an image made from this one:
force does not help) or *soft* (a stopped container, names in several repositories).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sampan.crashpoints import crash_point
from sampan.errors import Conflict
from sampan.images.catalog import IMAGES, Catalog
from sampan.images.events import ImageAction, Notify
from sampan.images.forecast import Forecast
from sampan.images.references import Reference, is_id_prefix, parse_reference, short_id
from sampan.spec.ids import ContainerId, ImageId
from sampan.state.store import Delete


@dataclass(frozen=True, slots=True)
class ImageUser:
    """A container that was made from an image."""

    container: ContainerId
    running: bool


Users = Callable[[ImageId], Sequence[ImageUser]]
"""Tells which containers use an image; supplied by whoever knows containers."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of the answer: a name that was taken away, or an image or layer that was deleted."""

    untagged: str = ""
    deleted: str = ""


class ImageConflict(Conflict):
    """Why an image cannot go; `hard` where force would not help, `used` where a container is in the way."""

    def __init__(self, image: ImageId, reason: str, hard: bool, used: bool = False) -> None:
        how = "cannot be forced" if hard else "must be forced"
        super().__init__(f"conflict: unable to delete {short_id(image)} ({how}) - {reason}")
        self.hard = hard
        self.used = used


class Remover:
    """One removal, under the catalog's lock: decides, commits once, collects. Of use once."""

    def __init__(self, catalog: Catalog | Forecast, users: Users, notify: Notify) -> None:
        """On a `Forecast` nothing is removed, and `removed` and `freed` tell what would be."""
        self._catalog = catalog
        self._users = users
        self._notify = notify
        # Decided, and not done yet.
        self._names: list[tuple[Reference, ImageId]] = []
        self._silent: list[Reference] = []
        self._images: list[ImageId] = []
        self.removed: list[Removed] = []
        self.freed = 0
        """Bytes that are given back to the disk: of layers and blobs that nothing else needs."""

    def remove(self, asked: str, force: bool = False, prune: bool = True) -> list[Removed]:
        """Remove what `asked` names: a name, or the image with its names. `prune` takes unnamed parents along.

        All of it in one commit. Raises NoSuchImage, InvalidParameter, Conflict; then nothing was removed.
        """
        with self._catalog.lock:
            self._decide(asked, force, prune)
            self._carry_out()
        return self.removed

    def _decide(self, asked: str, force: bool, prune: bool) -> None:
        image = self._catalog.find(asked)
        names = self._catalog.references_of(image)
        named = not is_id_prefix(image, asked)
        if self._catalog.is_fixed(image) and (not named or self._catalog.is_reserved(parse_reference(asked).stored())):
            raise ImageConflict(image, "the image host is this machine itself and is always there", hard=True)
        if named:
            if self._untag_one(asked, image, names, force):
                return
            try:
                self._delete(image, force, prune)
            except ImageConflict:
                # The name goes, which was asked for; the image stays as long as it is in use, nameless.
                return
            return
        if is_single(names):
            self._check(image, names=False, stopped=not force)
            self._names += [(name, image) for name in names]
        self._delete(image, force, prune)

    def _untag_one(self, asked: str, image: ImageId, names: list[Reference], force: bool) -> list[Reference]:
        """Take one name away, and digests of the same repository that it leaves alone; the names that are left."""
        if not force and is_single(names):
            for user in self._users(image):
                raise Conflict(
                    f'conflict: unable to remove repository reference "{asked}" (must force) - container '
                    f"{short_id(user.container)} is using its referenced image {short_id(image)}"
                )
        name = parse_reference(asked).stored()
        self._names.append((name, image))
        left = [other for other in names if other != name]
        same = [other for other in left if other.name == name.name]
        if name.digest is None and all(other.digest is not None for other in same):
            self._names += [(other, image) for other in same]
            self._silent += same
            left = [other for other in left if other not in same]
        return left

    def _delete(self, image: ImageId, force: bool, prune: bool) -> None:
        self._check(image, names=not force, stopped=not force)
        while True:
            self._images.append(image)
            self._names += [(name, image) for name in self._left(image)]
            parent = ImageId(self._catalog.facts(image).parent)
            if not prune or not parent or not self._catalog.has(parent) or self._catalog.references_of(parent):
                return
            try:
                self._check(parent, names=True, stopped=True)
            except ImageConflict:
                return
            image = parent

    def _left(self, image: ImageId) -> list[Reference]:
        """The names of an image that stay, as far as is decided."""
        going = {name for name, _ in self._names}
        return [name for name in self._catalog.references_of(image) if name not in going]

    def _carry_out(self) -> None:
        """What was decided in one commit, then what nobody needs any more, image by image."""
        needs = [self._catalog.facts(image).needs for image in self._images]
        # An untagged image's labels are told, and after the commit nobody knows them; a deleted one's are not (Docker).
        labels = {image: self._catalog.facts(image).labels for _, image in self._names}
        names = [self._catalog.drop_reference(name) for name, _ in self._names]
        self._catalog.commit([*names, *(Delete(IMAGES, image) for image in self._images)])
        crash_point("image-after-removal")
        for name, image in self._names:
            if name not in self._silent:
                self._notify(ImageAction.UNTAG, image, image, labels[image])
            self.removed.append(Removed(untagged=name.familiar))
        for number, image in enumerate(self._images):
            self._notify(ImageAction.DELETE, image, image, {})
            self.removed.append(Removed(deleted=image))
            # What a parent has, too, is told with the parent.
            collected = self._catalog.collect(needs[number].difference(*needs[number + 1 :]))
            self.freed += collected.freed
            self.removed += [Removed(deleted=chain) for chain in collected.layers]

    def _check(self, image: ImageId, names: bool, stopped: bool) -> None:
        if any(child not in self._images for child in self._catalog.children(image)):
            raise ImageConflict(image, "image has dependent child images", hard=True)
        users = self._users(image)
        for user in users:
            if user.running:
                reason = f"image is being used by running container {short_id(user.container)}"
                raise ImageConflict(image, reason, hard=True, used=True)
        if names and self._left(image):
            raise ImageConflict(image, "image is referenced in multiple repositories", hard=False)
        if stopped:
            for user in users:
                reason = f"image is being used by stopped container {short_id(user.container)}"
                raise ImageConflict(image, reason, hard=False, used=True)


def is_single(names: list[Reference]) -> bool:
    """At most one tag, and all in one repository: then an id stands for the name, too."""
    if len(names) <= 1:
        return True
    tags = [name for name in names if name.digest is None]
    repositories = {name.name for name in names if name.digest is not None}
    if len(tags) > 1:
        return False
    one = tags[0] if tags else names[0]
    return repositories == {one.name}
