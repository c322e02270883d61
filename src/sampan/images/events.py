"""What happens to images, for whoever listens (`docker events`)."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from sampan.spec.ids import ImageId


class ImageAction(StrEnum):
    """The actions as Docker's events call them."""

    CREATE = "create"
    LOAD = "load"
    IMPORT = "import"
    PULL = "pull"
    PUSH = "push"
    SAVE = "save"
    TAG = "tag"
    UNTAG = "untag"
    DELETE = "delete"
    PRUNE = "prune"


Notify = Callable[[ImageAction, ImageId | str, str, Mapping[str, str]], None]
"""Called with the action, the id of the event's actor, the name that goes with it and the image's labels; from any thread."""


def silent(action: ImageAction, actor: ImageId | str, name: str, labels: Mapping[str, str]) -> None:
    """Nobody listens."""
