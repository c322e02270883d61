"""What `--network` may say, as data."""

from dataclasses import dataclass
from enum import StrEnum

from sampan.errors import InvalidParameter, NotFound


class ModeKind(StrEnum):
    """Where a container's network namespace comes from."""

    BRIDGE = "bridge"
    HOST = "host"
    NONE = "none"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Mode:
    """`container` is the name or id of the container whose namespace is joined, empty for the other kinds."""

    kind: ModeKind
    container: str = ""


def parse_mode(text: str) -> Mode:
    """HostConfig.NetworkMode. Raises NotFound for a network of the user's own (there are none yet), in Docker's words."""
    if text in ("", "default", "bridge"):
        return Mode(ModeKind.BRIDGE)
    if text in ("host", "none"):
        return Mode(ModeKind(text))
    first, colon, name = text.partition(":")
    if first == "container":
        if not colon or not name:
            raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
        return Mode(ModeKind.CONTAINER, name)
    raise NotFound(f"network {text} not found")
