"""What happens to images, for whoever listens (`docker events`)."""

from collections.abc import Callable
from enum import StrEnum

from sampan.spec.ids import ImageId


class ImageAction(StrEnum):
    """The actions as Docker's events call them."""

    CREATE = "create"
    LOAD = "load"
    IMPORT = "import"
    SAVE = "save"
    TAG = "tag"
    UNTAG = "untag"
    DELETE = "delete"
    PRUNE = "prune"


Notify = Callable[[ImageAction, ImageId | str, str], None]
"""Called with the action, the id of the event's actor and the name that goes with it; from any thread."""


def silent(action: ImageAction, actor: ImageId | str, name: str) -> None:
    """Nobody listens."""
